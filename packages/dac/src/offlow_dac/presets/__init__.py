"""Published settings of DAC, as a table; `--preset` looks a task up."""

from functools import cache
from importlib.resources import files

from offlow_core.training.preset_table import PresetTable, find_table

_TITLES = {("paper", "dac"): "published DAC settings"}


def preset(name: str, agent: str, task: str) -> dict[str, str]:
    """Published options of `agent` on `task`, by option name; `OptionError` where none are published."""
    return table(name, agent).settings(task)


@cache
def table(name: str, agent: str) -> PresetTable:
    """The table of preset `name` for `agent`, one row per published task."""
    return find_table(files(__name__), _TITLES, name, agent)
