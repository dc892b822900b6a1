"""Refuse, before training begins, data of which no sample can be drawn."""

from collections.abc import Sequence

from offlow_core.data.transitions import Dataset
from offlow_core.data.validation import DatasetError
from offlow_core.option_checks import OptionError
from offlow_core.torch.online import OnlinePhase
from offlow_core.training.learner import Phase


def require_enough(dataset: Dataset, phases: Sequence[Phase], least: int) -> None:
    """Raise DatasetError or OptionError where an update would have fewer than `least` transitions to draw from.

    Of a dataset in shards this is about the first one; the others are looked at when they are read.
    """
    if any(phase.steps > 0 for phase in phases if not isinstance(phase, OnlinePhase)):
        _require("the data to train on", len(dataset.train), least)
        if dataset.validation is not None:
            _require("the held-out data", len(dataset.validation), least)
    for phase in phases:
        if isinstance(phase, OnlinePhase) and phase.first_update <= phase.steps:
            _require_online(phase, len(dataset.train), least)


def _require(what: str, count: int, least: int) -> None:
    if count < least:
        raise DatasetError(
            f"{what} hold {count} transitions, but a sample takes {least} in a row: "
            "use more of them, or shorter chunks."
        )


def _require_online(phase: OnlinePhase, offline: int, least: int) -> None:
    """Of all updates online the first one finds the fewest transitions."""
    found = min(offline + phase.first_update, phase.most_sampled(offline))
    if found < least:
        raise OptionError(
            f"the first update online, after environment step {phase.first_update}, would find {found} transitions in "
            f"the replay buffer (capacity {phase.capacity(offline)}), but a sample takes {least} in a row: begin "
            "updates later, with a larger buffer, more data or shorter chunks"
        )
