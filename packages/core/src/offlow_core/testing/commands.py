"""Whole training commands in tests: what they leave behind, and what is left when one is killed."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from offlow_core.training.run_directory import RunDirectory

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
HEAVY = {"jax", "optax", "torch", "mujoco", "ogbench", "matplotlib", "wandb"}


def runs_in(folder: Path) -> list[RunDirectory]:
    """The runs below a `--save_dir`."""
    return [RunDirectory.open(path.parent) for path in sorted(folder.glob("*/*/*/status.json"))]


def run_until_killed(
    learner: type, main_module: str, last: int, words: Sequence[str], env: Mapping[str, str] | None = None
) -> None:
    """Run a package's command in a process that dies of SIGKILL when a block starts at step `last` or later."""
    arguments = [learner.__module__, learner.__name__, main_module, str(last), *words]
    command = [sys.executable, "-c", _KILLED, *arguments]
    done = subprocess.run(command, check=False, env={**os.environ, **(env or {})})
    assert done.returncode == -signal.SIGKILL


def assert_same_numbers(found: RunDirectory, expected: RunDirectory) -> None:
    """Two runs have the same tables and the same last checkpoint, byte for byte."""
    for name in ("train.csv", "eval.csv", "episodes.csv"):
        assert (found.path / name).read_bytes() == (expected.path / name).read_bytes(), name
    mine, theirs = found.checkpoints.latest(), expected.checkpoints.latest()
    assert mine.path.read_bytes() == theirs.path.read_bytes()
    assert mine.step == theirs.step


def assert_imports_late(module: str) -> None:
    """Importing a command's module, in a process of its own, leaves what takes seconds for when it is needed."""
    script = f"import sys, {module}; heavy = {HEAVY} & set(sys.modules); assert not heavy, heavy"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
