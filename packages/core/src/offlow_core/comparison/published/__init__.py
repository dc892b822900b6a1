"""Scores that papers report, as data files: one per paper, one row per method and task or group of tasks."""

import csv
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from offlow_core.braces import expand_braces


@dataclass(frozen=True)
class PublishedScore:
    """One number of a table; several tasks: their mean."""

    group: str
    """The tasks as the file writes them, braces standing for alternatives."""
    tasks: tuple[str, ...]
    method: str
    agent: str
    """The agent of this project that is the same algorithm; empty: none is."""
    options: tuple[tuple[str, str], ...]
    """Values that options of the agent must have to be it."""
    phase: str
    """offline; online: after both phases; before: of a run with both, before the second."""
    offline_steps: int | None
    """Of the offline phase; None: the source does not say."""
    online_steps: int | None
    score: str
    """As printed."""
    spread: str
    """Deviation as printed; empty: none."""
    setting: str
    source: str

    @property
    def text(self) -> str:
        """Score and deviation as they were printed."""
        return f"{self.score} ± {self.spread}" if self.spread else self.score


@cache
def published_scores() -> tuple[PublishedScore, ...]:
    """All that is known, paper by paper."""
    found = [file for file in files(__name__).iterdir() if file.name.endswith(".csv")]
    return tuple(
        _score(**row)
        for file in sorted(found, key=lambda file: file.name)
        for row in csv.DictReader(file.read_text(encoding="utf-8").splitlines(), strict=True)
    )


def _score(tasks: str, options: str, offline_steps: str, online_steps: str, **others: str) -> PublishedScore:
    values = tuple((name, value) for name, _, value in (word.partition("=") for word in options.split()))
    return PublishedScore(
        group=tasks,
        tasks=tuple(expand_braces(tasks)),
        options=values,
        offline_steps=int(offline_steps) if offline_steps else None,
        online_steps=int(online_steps) if online_steps else None,
        **others,
    )
