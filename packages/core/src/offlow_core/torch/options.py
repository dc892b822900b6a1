"""Options that every PyTorch package adds to a run; imports no PyTorch, so that command lines are read at once."""

from dataclasses import dataclass
from typing import ClassVar

from offlow_core.option_checks import check
from offlow_core.training.options import RunOptions


@dataclass(frozen=True, kw_only=True)
class TorchOptions(RunOptions):
    """Where and how the updates are computed."""

    changeable: ClassVar[frozenset[str]] = RunOptions.changeable | {"device", "compile"}

    device: str = "auto"
    """auto (the first GPU, else the CPU), cpu, or a GPU as 0 or cuda:0; one that is not there is warned of."""
    compile: bool = False
    """Compile the losses and, on a GPU, record whole updates as CUDA graphs; takes about a minute to start."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check(self, "device", lambda value: value != "", "a device, not empty")
