"""Published settings per task; `--preset` looks a task up in them."""

import sys
from functools import cache
from importlib.resources import files

from offlow_core.option_checks import OptionError
from offlow_core.training.preset_table import PresetTable

FORK = {"agent.policy": "flow", "agent.flow_q_gradient": "none"}  # its behaviour cloning is the diffusion


def preset(name: str, agent: str, task: str) -> dict[str, str]:
    """Published options for `task`, by option name; the same ones for every agent.

    `paper` and `fork_parity` raise OptionError where nothing is published; `auto` then leaves the defaults, which are
    those of the locomotion tasks, and says so.
    """
    if name != "auto":
        return table().settings(task) | (FORK if name == "fork_parity" else {})
    try:
        return table().settings(task)
    except OptionError:
        print(f"no published settings for {task!r}: the defaults are taken (eta 1, gn 5)", file=sys.stderr)
        return {}


@cache
def table() -> PresetTable:
    """One row per published task."""
    return PresetTable.read(files(__name__) / "paper.csv", "published Diffusion-QL settings")
