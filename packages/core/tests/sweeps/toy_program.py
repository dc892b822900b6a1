"""A training command without a backend, as a program of its own: `python toy_program.py OPTIONS`.

It learns nothing, but its runs are real ones: tables, checkpoints, signals and `--resume`.
"""

import os
import signal
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

sys.path.append(str(Path(__file__).parents[1] / "training"))

from fake_learner import PREPARING, FakeLearner
from fake_program import Corridor, make_dataset

from offlow_core.suites.task import Task
from offlow_core.training import session
from offlow_core.training.command_line import parse, run_program
from offlow_core.training.learner import Phase
from offlow_core.training.option_json import to_text
from offlow_core.training.options import OnlineOptions


@dataclass(frozen=True)
class ToyConfig:
    """An agent, and what shall happen to it."""

    agent_name: ClassVar[str] = "toy"

    speed: float = 1.0
    """Does nothing."""
    pause_s: float = 0.0
    """Time that a step takes."""
    trouble_at: int = -100
    """The step before which something happens."""
    trouble: str = "error"
    """What: error, or kill (without a warning)."""
    once: str = ""
    """A file that is made by it and keeps it from happening again; empty: it always happens."""


@dataclass(frozen=True)
class ToyOptions(OnlineOptions):
    """A run of it."""

    offline_steps: int = 12
    """Updates."""
    log_interval: int = 2
    """Steps between rows."""
    eval_interval: int = 4
    """Steps between evaluations."""
    eval_episodes: int = 2
    """Episodes."""
    checkpoint_minutes: float = 0.0
    """A checkpoint after every block."""
    agent: ToyConfig = field(default_factory=ToyConfig)
    """The agent."""


class ToyLearner(FakeLearner):
    """Takes its time, and fails where it is told to."""

    def __init__(self, options: ToyOptions):
        seeds = range(options.seed, options.seed + options.num_seeds)
        super().__init__(seeds, (PREPARING, Phase("training", 0, options.offline_steps)))
        self._agent = options.agent

    def advance(self, step: int, steps: int) -> None:
        """One step after the other."""
        for number in range(step, step + steps):
            if number == self._agent.trouble_at:
                self._happen()
            time.sleep(self._agent.pause_s)
            super().advance(number, 1)

    def _happen(self) -> None:
        if self._agent.once:
            if Path(self._agent.once).exists():
                return
            Path(self._agent.once).touch()
        if self._agent.trouble == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        raise RuntimeError("the toy broke")


VARIANTS = {"toy": ToyOptions}
session.resolve = lambda name, options: Task(name, name, "toy", 3, Corridor, make_dataset, lambda: {"suite": "toy"})
session.plot_run = lambda *arguments, **options: None  # matplotlib takes longer than all the rest


def train(argv: list[str]) -> int:
    """`toy OPTIONS`."""
    command = parse(argv, program="toy", variants=VARIANTS, default_variant="toy", preset=lambda *_: {})
    if command.print_config:
        print(to_text(command.options))
        return 0
    program = session.Program("toy", VARIANTS, lambda options, dataset, task: ToyLearner(options), ["numpy"])
    return session.run_training(command, program)


if __name__ == "__main__":
    sys.exit(run_program(None, program="toy", train=train, commands={}))
