"""What may be chosen about a task beside its name."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class SuiteOptions:
    """Choices that change what a task name loads or how its environment behaves; a suite uses those that concern it."""

    success_timing: Literal["pre", "post"] = "pre"
    """OGBench: test success, reward and termination on the state before ("pre", as the relabelled rewards do) or after
    ("post", as published results up to ogbench 1.1) the action."""
    legacy_contact_margin: bool = True
    """Give contacts the margin they had up to MuJoCo 3.4 where it changed a published task (ant tasks)."""
    dataset_dir: str | None = None
    """Folder of downloaded datasets; the suite's usual one by default (OGBench: ~/.ogbench/data)."""
    dataset_path: str | None = None
    """A file to use instead, in the format of the task's suite; validation data lie beside it, named -val."""
    frame_stack: int | None = None
    """Number of frames that make one observation."""

    def __post_init__(self):
        if self.success_timing not in ("pre", "post"):
            raise ValueError(f'success_timing must be "pre" or "post", got {self.success_timing!r}')
        if self.frame_stack is not None and self.frame_stack < 1:
            raise ValueError(f"frame_stack must be at least 1, got {self.frame_stack}")
