"""Scores that `offlow evaluate` leaves in a run directory, for comparisons to find."""

import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from offlow_core.errors import UserError
from offlow_core.files import write_json

EVALUATED = "offlow evaluate"
"""How the name of a score begins that was taken after the run."""


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
        elsewhere = "" if self.environment is None else "-" + re.sub(r"[^\w.+=-]", "_", self.environment)
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
        """The score in a file; SavedScoreError where it is damaged."""
        try:
            found = cls(**json.loads(path.read_bytes()))
        except (OSError, ValueError, TypeError, RecursionError) as error:
            raise SavedScoreError(f"{path} is damaged ({error}); evaluate again, or remove it") from error
        if not (isinstance(found.step, int) and isinstance(found.score, int | float)):
            raise SavedScoreError(f"{path} is damaged (step {found.step!r}, score {found.score!r}); remove it")
        return found


def saved_scores(run: Path) -> list[SavedScore]:
    """All scores of a run, those of later checkpoints last."""
    return sorted(map(SavedScore.read, _folder(run).glob("*.json")), key=lambda score: (score.step, score.name))


def make_folder(run: Path) -> Path:
    """The run's folder for records of episodes, made if need be; SavedScoreError where nothing can be written there."""
    folder = _folder(run)
    try:
        folder.mkdir(exist_ok=True)
        probe = folder / ".writable"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise SavedScoreError(f"{folder}, where the episodes are to be kept, cannot be written to: {error}") from error
    return folder


def _folder(run: Path) -> Path:
    return run / "evaluations"
