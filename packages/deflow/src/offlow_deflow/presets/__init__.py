"""Published settings of DeFlow and floq, and suggested ones of DeFlow-VF, as tables; `--preset` looks a task up."""

from functools import cache
from importlib.resources import files

from offlow_core.training.preset_table import PresetTable, find_table

_TITLES = {
    ("paper", "deflow"): "published DeFlow settings",
    ("paper_online", "deflow"): "published DeFlow settings with online fine-tuning",
    ("paper", "deflowvf"): "suggested DeFlow-VF settings (ours: none are published)",
    ("paper_online", "deflowvf"): "suggested DeFlow-VF settings with online fine-tuning (ours: none are published)",
    ("paper", "floq"): "published floq settings (floq-def)",
    ("paper_best", "floq"): "published floq settings, tuned per environment (floq-best)",
    ("paper_online", "floq"): "published floq settings with online fine-tuning",
}


def preset(name: str, agent: str, task: str) -> dict[str, str]:
    """Settings of `agent` on `task`, by option name; `OptionError` where there are none."""
    return table(name, agent).settings(task)


@cache
def table(name: str, agent: str) -> PresetTable:
    """The table of preset `name` for `agent`, one row per task."""
    return find_table(files(__name__), _TITLES, name, agent)
