"""Scores that `offlow evaluate` leaves in a run directory, for comparisons to find."""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MappingProxyType, NoneType
from typing import Any, Self
from urllib.parse import quote

from offlow_core.errors import UserError
from offlow_core.files import write_json

EVALUATED = "offlow evaluate"
"""How the name of a score begins that was taken after the run."""
_LONGEST = 80


class SavedScoreError(UserError, ValueError):
    """A record of an evaluation that is damaged, or a place where none can be kept."""


@dataclass(frozen=True)
class SavedScore:
    """What came of many episodes with a saved policy, and how they were played."""

    policy: str
    step: int
    """Of the checkpoint."""
    episodes: int
    seed: int
    environment: str | None
    """None: the run's own."""
    score: float

    @property
    def name(self) -> str:
        """Name of its files, without suffix; evaluations of one name are equal."""
        elsewhere = "" if self.environment is None else "-" + quote(self.environment, safe="")
        return f"{self.policy}-step{self.step}-seed{self.seed}-{self.episodes}episodes{elsewhere}"

    def rule(self, last_step: int) -> str:
        """What the score is called in comparisons: equal for runs that were evaluated alike.

        `last_step` is where the run has got to by now, which may be further than when it was evaluated.
        """
        checkpoint = "last checkpoint" if self.step >= last_step else f"step {self.step}"
        elsewhere = "" if self.environment is None else f", in {self.environment}"
        return f"{EVALUATED} ({self.policy}, {checkpoint}, {self.episodes} episodes, seed {self.seed}{elsewhere})"

    def write(self, run: Path) -> None:
        """Keep it in the run's directory."""
        write_json(_folder(run) / f"{self.name}.json", asdict(self))

    @classmethod
    def read(cls, path: Path) -> Self:
        """The score in a file; SavedScoreError where it is damaged, or laid out otherwise."""
        try:
            values = json.loads(path.read_bytes())
        except (OSError, ValueError, RecursionError) as error:
            raise SavedScoreError(f"damaged ({error}); remove it, and evaluate again") from error
        if not isinstance(values, dict) or values.keys() != _KINDS.keys():
            raise SavedScoreError(
                f"expected an object with {', '.join(_KINDS)}, got {_in_short(values)}, maybe of another version; "
                "remove it, and evaluate again"
            )
        for name, kinds in _KINDS.items():
            if type(values[name]) not in kinds or (name == "score" and not math.isfinite(values[name])):
                what = f"its {name} is {_in_short(values[name])}"
                raise SavedScoreError(f"damaged: {what}; remove it, and evaluate again")
        return cls(**values)


_KINDS: Mapping[str, tuple[type, ...]] = MappingProxyType(
    {
        "policy": (str,),
        "step": (int,),
        "episodes": (int,),
        "seed": (int,),
        "environment": (str, NoneType),
        "score": (int, float),
    }
)
"""What a file holds; exact types, as JSON's truth values are none of them."""


def saved_scores(run: Path) -> tuple[list[SavedScore], dict[Path, str]]:
    """All scores of a run, those of later checkpoints last; and the files that cannot be used, with the reason."""
    found, unusable = [], {}
    for path in sorted(_folder(run).glob("*.json")):
        try:
            found.append(SavedScore.read(path))
        except SavedScoreError as error:
            unusable[path] = str(error)
    return sorted(found, key=lambda score: (score.step, score.name)), unusable


def _in_short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "..."


def make_folder(run: Path) -> Path:
    """The run's folder for records of episodes, made if need be; SavedScoreError where nothing can be written there."""
    folder = _folder(run)
    try:
        folder.mkdir(exist_ok=True)
        probe = folder / ".writable"
        probe.touch()
        probe.unlink(missing_ok=True)  # another evaluation of the run may have been here at the same time
    except OSError as error:
        raise SavedScoreError(f"{folder}, where the episodes are to be kept, cannot be written to: {error}") from error
    return folder


def _folder(run: Path) -> Path:
    return run / "evaluations"
