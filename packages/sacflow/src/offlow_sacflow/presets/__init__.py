"""Published settings per task, one table for each agent that has some; `--preset` looks a task up in them."""

from functools import cache
from importlib.resources import files

from offlow_core.training.preset_table import PresetTable, find_table

_TITLES = {
    ("paper", "acfql"): "published QC-FQL settings",
    ("paper_fql", "acfql"): "published FQL settings beside QC-FQL's",
    ("paper", "chunk_flow_t"): "published SAC Flow-T settings from offline to online",
    ("paper", "chunk_flow_g"): "published SAC Flow-G settings from offline to online",
}


def preset(name: str, agent: str, task: str) -> dict[str, str]:
    """Published options of `agent` on `task`, by option name; `OptionError` where none are published."""
    return table(name, agent).settings(task)


@cache
def table(name: str, agent: str) -> PresetTable:
    """The table of preset `name` for `agent`, one row per published task."""
    return find_table(files(__name__), _TITLES, name, agent)
