"""Whole training commands in tests: what they leave behind, what they say, what is left when one is killed."""

import signal
import subprocess
import sys
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

import pytest

from offlow_core.testing.comparisons import assert_identical
from offlow_core.training.checkpoints import Checkpoint
from offlow_core.training.run_directory import RunDirectory
from offlow_core.training.saved_run import find_checkpoint

_KILLED = """
import importlib, os, signal, sys
learner_module, learner_name, main_module, last, *words = sys.argv[1:]
learner = getattr(importlib.import_module(learner_module), learner_name)
advance = learner.advance
def advance_or_die(self, step, steps):
    if step >= int(last):
        os.kill(os.getpid(), signal.SIGKILL)
    advance(self, step, steps)
learner.advance = advance_or_die
importlib.import_module(main_module).main(words)
"""
BACKENDS = ("jax", "torch")
HEAVY = {*BACKENDS, "optax", "mujoco", "ogbench", "matplotlib", "wandb"}


def runs_in(folder: Path) -> list[RunDirectory]:
    """The runs below a `--save_dir`."""
    return [RunDirectory.open(path.parent) for path in sorted(folder.glob("*/*/*/status.json"))]


def the_run_in(folder: Path) -> RunDirectory:
    """The only run below a `--save_dir`."""
    (run,) = runs_in(folder)
    return run


def refusal(command: Callable[[Sequence[str]], object], words: Sequence[str], capture: pytest.CaptureFixture) -> str:
    """What a command that ends with status 2 says on stderr, with single spaces and without the frame of a box."""
    with pytest.raises(SystemExit) as exit_:
        command(words)
    assert exit_.value.code == 2
    return " ".join(capture.readouterr().err.replace("│", " ").split())


def run_until_killed(learner: type, main_module: str, last: int, words: Sequence[str]) -> None:
    """Run a package's command in a process that dies of SIGKILL when a block starts at step `last` or later."""
    arguments = [learner.__module__, learner.__name__, main_module, str(last), *words]
    done = subprocess.run([sys.executable, "-c", _KILLED, *arguments], check=False)
    assert done.returncode == -signal.SIGKILL


def assert_same_numbers(found: RunDirectory, expected: RunDirectory) -> None:
    """Two runs have the same tables and the same last checkpoint, byte for byte."""
    for name in ("train.csv", "eval.csv", "episodes.csv"):
        assert (found.path / name).read_bytes() == (expected.path / name).read_bytes(), name
    mine, theirs = find_checkpoint(found), find_checkpoint(expected)
    assert mine.path.read_bytes() == theirs.path.read_bytes()
    assert mine.step == theirs.step


def assert_same_checkpoint(found: Checkpoint, expected: Checkpoint, *, besides: Collection[str] = ()) -> None:
    """Two checkpoints hold the same, the arrays named in `besides` left aside."""
    assert (found.step, found.meta) == (expected.step, expected.meta)
    mine, theirs = (
        {name: array for name, array in checkpoint.arrays.items() if name not in besides}
        for checkpoint in (found, expected)
    )
    assert_identical(mine, theirs)


def in_new_process(script: str) -> str:
    """What a Python script prints that succeeds in a process of its own."""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def assert_imports_late(module: str) -> None:
    """Importing a command's module, in a process of its own, leaves what takes seconds for when it is needed."""
    in_new_process(f"import sys, {module}; heavy = {HEAVY} & set(sys.modules); assert not heavy, heavy")
