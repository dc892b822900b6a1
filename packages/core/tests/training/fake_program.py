"""A whole program around the fake learner: options, a task with a tiny environment, commands."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import gymnasium
import numpy as np
import pytest
from fake_learner import PREPARING, FakeLearner

from offlow_core.data.transitions import Dataset, Transitions
from offlow_core.suites.task import Task
from offlow_core.training import saved_run, session
from offlow_core.training.command_line import ParsedCommand, parse
from offlow_core.training.learner import Phase
from offlow_core.training.options import OnlineOptions
from offlow_core.training.selection import LastModel, ModelSelection


@dataclass(frozen=True)
class FakeConfig:
    """An agent."""

    agent_name: ClassVar[str] = "fake"

    speed: float = 1.0
    """How fast."""


@dataclass(frozen=True)
class FakeOptions(OnlineOptions):
    """A run of it."""

    agent: FakeConfig = field(default_factory=FakeConfig)
    """The agent."""


VARIANTS = {"fake": FakeOptions}


class Corridor(gymnasium.Env):
    """Walk right for three steps; success if it ends beyond 1."""

    action_space = gymnasium.spaces.Box(-1.0, 1.0, (1,), np.float32)
    observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (2,), np.float32)

    def __init__(self, render_mode=None):
        self.render_mode = render_mode

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.place, self.steps = self.np_random.normal(), 0
        return np.array([self.place, 0], np.float32), {}

    def step(self, action):
        self.place, self.steps = self.place + float(action[0]), self.steps + 1
        observation = np.array([self.place, self.steps], np.float32)
        return observation, self.place, False, self.steps == 3, {"success": float(self.place > 1)}


def make_dataset(seed: int = 0) -> Dataset:
    rng = np.random.default_rng(seed)
    observations = rng.normal(size=(6, 2)).astype(np.float32)
    train = Transitions.from_arrays(
        observations[:-1], np.zeros((5, 1)), np.ones(5), np.ones(5), np.arange(5) == 4, observations[1:]
    )
    return Dataset(train, None, {"source": "memory", "files": [], "transitions": {"train": 5}})


class Stage:
    """What the programs of a test work with, and what they shall meet."""

    def __init__(self, root, monkeypatch: pytest.MonkeyPatch):
        self.root, self.dataset, self.learners, self.at = root, make_dataset(), [], {}
        self.selection: ModelSelection = LastModel()
        for module in (session, saved_run):
            monkeypatch.setattr(module, "resolve", lambda name, options: self.task(name))

    def task(self, name: str) -> Task:
        return Task(name, name, "fake", 3, Corridor, lambda: self.dataset, lambda: {"suite": "fake"})

    def make_learner(self, options: FakeOptions, dataset: Dataset, task: Task) -> FakeLearner:
        seeds = range(options.seed, options.seed + options.num_seeds)
        learner = FakeLearner(seeds, (PREPARING, Phase("training", 0, options.offline_steps)), at=self.at)
        self.learners.append(learner)
        return learner

    def parse(self, *words: str) -> ParsedCommand:
        defaults = {"env_name": "corridor", "save_dir": str(self.root), "offline_steps": "10", "log_interval": "3"}
        defaults |= {"eval_interval": "5", "eval_episodes": "2", "eval_workers": "0", "checkpoint_minutes": "0"}
        given = {word.split("=")[0].removeprefix("--") for word in words}
        # A resumed directory brings its own options.
        if not any(word.startswith("--resume=") for word in words):
            words = (*words, *(f"--{name}={text}" for name, text in defaults.items() if name not in given))
        return parse(words, program="fake", variants=VARIANTS, default_variant="fake", preset=lambda *_: {})

    def train(self, *words: str) -> int:
        selection = {"selection": lambda options: self.selection}
        program = session.Program("fake", VARIANTS, self.make_learner, ["numpy"], **selection)
        return session.run_training(self.parse(*words), program)

    def folders(self) -> Sequence:
        return sorted((self.root / "corridor" / "fake").iterdir())
