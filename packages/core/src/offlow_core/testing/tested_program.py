"""How a package describes its training command to the battery of `run_battery.py`, and what all of that starts from."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import ClassVar

import pytest

from offlow_core.testing import tiny_data
from offlow_core.testing.commands import the_run_in
from offlow_core.training.learner import Learner
from offlow_core.training.run_directory import RunDirectory

EVALUATION = ["--eval_episodes=2", "--eval_envs=2", "--eval_workers=0"]


class ProgramUnderTest:
    """The description. All words of options are chosen by the package so that its networks are tiny."""

    command: ClassVar[ModuleType]
    """The module of the package's command, with `main` and `PROGRAM`."""
    learner: ClassVar[type[Learner]]
    """The class of its learners."""
    variants: ClassVar[Mapping[str, Sequence[str]]]
    """Options by the agent's name, the default agent first."""
    slow_variants: ClassVar[Sequence[str]] = ()
    """Those whose run on a D4RL file is one of the long tests."""
    quick: ClassVar[str]
    """The variant that compiles fastest, for what does not depend on the agent."""
    long: ClassVar[Sequence[str]]
    """All options of a run of 12 steps or more in whose course everything happens that ever can."""
    long_task: ClassVar[str] = "hopper"
    """What it trains on: `maze` has held-out data and is dear to evaluate, `hopper` is cheap."""
    kills: ClassVar[Sequence] = (4, 8)
    """Even steps after which it is killed: one in each of its phases, and no multiple of 3."""
    preparing_steps: ClassVar[int] = 0
    """Updates of the default agent before step 0."""
    loss: ClassVar[str] = "critic/critic_loss"
    """A metric of every agent that depends on the seed and has a held-out counterpart."""
    policies: ClassVar[Sequence[str]] = ("policy",)
    """What `evaluate --policy` knows; each acts differently in the quick variant."""
    equal_policies: ClassVar[int] = 0
    """But for this many, which are other names of the first."""
    d4rl_rules: ClassVar[str]
    """Default conversion of D4RL files."""
    diverge: ClassVar[Sequence[str]] = ("--agent.lr=1e30",)
    """Options with which training diverges within 20 steps."""

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Parametrise by what the subclass says."""
        if "variant" in metafunc.fixturenames:
            marks = dict.fromkeys(self.slow_variants, pytest.mark.slow)
            variants = [pytest.param(name, marks=marks.get(name, ())) for name in self.variants]
            metafunc.parametrize("variant", variants, scope="class")
        if "last" in metafunc.fixturenames:
            metafunc.parametrize("last", self.kills)

    @classmethod
    def train(cls, words: Sequence[str], folder: Path) -> RunDirectory:
        """The run of a command that succeeds."""
        assert cls.command.main([*words, f"--save_dir={folder}"]) == 0
        return the_run_in(folder)

    @pytest.fixture(scope="class")
    @classmethod
    def maze(cls, tmp_path_factory) -> list[str]:
        """Task and data options of a maze."""
        return tiny_data.write_maze(tmp_path_factory.mktemp("maze"))

    @pytest.fixture(scope="class")
    @classmethod
    def hopper(cls, tmp_path_factory) -> list[str]:
        """Task and data options of the cheapest locomotion task."""
        return tiny_data.write_hopper(tmp_path_factory.mktemp("hopper"))
