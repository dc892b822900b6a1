"""What may be chosen about a task beside its name."""

from dataclasses import dataclass
from typing import Literal

from offlow_core.option_checks import check, check_choices


@dataclass(frozen=True)
class SuiteOptions:
    """Choices that change what a task name loads or how its environment behaves; a suite uses those that concern it."""

    dataset_path: str | None = None
    """Own dataset file in the task's format; the validation file has the same name with `-val`."""
    dataset_dir: str | None = None
    """Folder of the suite's datasets; None: the suite's usual one."""
    environment: str | None = None
    """Environment of own data: a gymnasium name, a task of OGBench, or `module:function` that makes one."""
    frame_stack: int | None = None
    """Images stacked into one observation; None: no stacking."""
    success_timing: Literal["pre", "post"] = "pre"
    """OGBench: reward and success from the state before (as today) or after a step (as in the papers)."""
    d4rl_rules: Literal["fql", "dac", "diffusion_ql"] = "fql"
    """Conversion of D4RL files: which paper's reward shift, trajectory ends and action clipping."""
    d4rl_goal_seed: int | None = None
    """D4RL's antmaze-*-v0, whose goal is drawn once and kept: what it is drawn from; None: the run's seed."""
    minari_keeps_cut_off_ends: bool = False
    """Minari's sets converted from D4RL: keep the last step of cut-off episodes, whose successor was not recorded."""
    legacy_contact_margin: bool = True
    """Keep the contact margins of the published tasks, which MuJoCo has changed."""

    def __post_init__(self) -> None:
        check_choices(self)
        for name in ("dataset_path", "dataset_dir", "environment"):
            check(self, name, lambda value: value != "", "a name, not empty")
        check(self, "d4rl_goal_seed", lambda value: value is None or value >= 0, "at least 0, or None")
        check(self, "frame_stack", lambda value: value is None or value >= 1, "at least 1, or None")
