"""A task: everything that follows from its name."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import gymnasium

from offlow_core.data.reward_rules import RewardMap
from offlow_core.data.transitions import Dataset
from offlow_core.option_checks import OptionError
from offlow_core.suites.score import SUCCESS, ScoreRule
from offlow_core.suites.spaces import box


class EnvironmentFactory(Protocol):
    """Builds one environment of a task; can be pickled and sent to a worker process."""

    def __call__(self, render_mode: str | None = None) -> gymnasium.Env:
        """Observations are float32, or uint8 images; `reset(seed=...)` makes all that follows reproducible."""


@dataclass(frozen=True)
class Task:
    """What a task name means. All callables can be pickled."""

    name: str
    """As given."""
    canonical_name: str
    """With what the name leaves open filled in; two names of one task have the same."""
    suite: str
    episode_steps: int | None
    """Time limit of an episode, where one is known."""
    make_environment: EnvironmentFactory | None
    """None where the task consists of data only: it can be trained on, not evaluated."""
    load_dataset: Callable[[], Dataset]
    """Raises DatasetError where the data are missing or unusable."""
    semantics: Callable[[], dict]
    """Choices and library versions in force that can change a result; goes into the manifest of a run."""
    score: ScoreRule = SUCCESS
    """The headline number of an evaluation."""
    reward_shift: float = 0.0
    """What the dataset's rewards have over the environment's; rewards met while training online get it too."""
    files: Callable[[], dict[str, Path]] | None = None
    """Where the dataset's files are, or would be once fetched, by role ("train", ...); reads nothing and asks nobody.
    None where the dataset is not kept in files of known names."""
    has_dataset: bool = True
    """False for a task that is an environment only, to train in from scratch."""
    fetch: Callable[[], list[Path]] | None = None
    """Get the dataset's files, as far as they are missing, without loading them; DatasetError where that fails. None
    where they can only be had by hand."""

    def require_environment(self) -> EnvironmentFactory:
        """`make_environment` where something can only be done in an environment; OptionError if there is none."""
        if self.make_environment is None:
            raise OptionError(f"{self.name} has no environment; name one with --environment")
        return self.make_environment

    def spaces(self) -> tuple[gymnasium.spaces.Box, gymnasium.spaces.Box]:
        """Observations and actions of the environment, which there must be; makes one and closes it."""
        environment = self.require_environment()()
        environment.close()
        return box(environment.observation_space), box(environment.action_space)

    @property
    def rewards(self) -> RewardMap:
        """From the environment's rewards to the dataset's."""
        return RewardMap(shift=-self.reward_shift)
