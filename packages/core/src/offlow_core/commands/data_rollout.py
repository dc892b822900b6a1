"""`offlow data collect --policy RUN`: what a trained policy does, or has met, as a dataset in D4RL's format."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
from tqdm import tqdm
from tyro.conf import arg

from offlow_core.commands.shell import run_command
from offlow_core.data import trajectories
from offlow_core.data.collect.protocol import CollectError
from offlow_core.data.collect.rollouts import Episode, d4rl_recording, joined, roll_out
from offlow_core.data.recordings.writing import write_recording
from offlow_core.suites.fitted_environment import action_bounds
from offlow_core.suites.task import Task
from offlow_core.training.algorithms import algorithm_of
from offlow_core.training.checkpoints import Checkpoint
from offlow_core.training.run_directory import RunDirectory
from offlow_core.training.saved_arrays import STAGE, part_of
from offlow_core.training.saved_run import SavedRun

_REPLAY = f"{STAGE}online/replay/"


@dataclass(frozen=True)
class Options:
    """Write a dataset in D4RL's format with a trained policy, of any package, as behaviour policy.

    `expert` data come from a run's last checkpoint, `medium` ones from an earlier one (--checkpoint; train with
    --save_interval to have some), `medium-replay` ones are what a run from scratch had met by then (--replay).
    """

    policy: Annotated[Path, arg(metavar="RUN")]
    """the run directory"""
    out: Annotated[Path, arg(metavar="FILE")]
    """the .hdf5 file to write"""
    transitions: int = 100_000
    """how many to roll out; with --replay the latest ones, as far as there are as many"""
    checkpoint: Annotated[int | None, arg(metavar="STEP", help_behavior_hint="(default: the last)")] = None
    """the step whose checkpoint acts"""
    replay: bool = False
    """write the run's replay buffer instead of rolling out"""
    name: str = "policy"
    """which of the agent's policies acts; an unknown name lists them"""
    environment: str | None = None
    """environment for own data, a gymnasium name, a task of OGBench or `module:function`; None: the run's"""
    seed: int = 0
    """equal seeds give equal data"""
    overwrite: bool = False
    """replace an existing file"""


def main(arguments: Sequence[str], program: str) -> None:
    """Parse `arguments`, collect, and report."""
    run_command(Options, run, arguments, program)


def run(options: Options) -> None:
    """Collect what the options ask for and print what came of it."""
    if options.transitions < 1:
        raise CollectError(f"--transitions must be at least 1, got {options.transitions}")
    source = RunDirectory.open(options.policy)
    saved = SavedRun.load(source, algorithm_of(source), step=options.checkpoint, environment=options.environment)
    task = saved.task
    if options.replay:
        rows = _replayed(source, saved.checkpoint, options.transitions, task)
    else:
        policy = saved.policy(options.name)
        with tqdm(total=options.transitions, desc="collecting", unit="row", disable=not sys.stderr.isatty()) as bar:
            episodes = roll_out(
                policy,
                task.require_environment(),
                options.transitions,
                seed=options.seed,
                progress=lambda done: bar.update(done - bar.n),
            )
        rows = joined(episodes)
    _, actions = task.spaces()
    recording = d4rl_recording(rows, action_bounds(actions, task.name), options.out.expanduser())
    write_recording(recording, options.out.expanduser(), overwrite=options.overwrite)
    print(_report(options, task, saved.options.environment, saved.checkpoint, rows))


def _replayed(run: RunDirectory, checkpoint: Checkpoint, transitions: int, task: Task) -> Episode:
    """The latest transitions of a run's replay buffer, oldest first, with the ends of episodes told apart.

    The buffer holds the rewards that were trained on; these are the environment's.
    """
    ring = part_of(checkpoint.arrays, _REPLAY)
    if not len(ring.get("rewards", ())) or run.manifest["dataset"]["source"] != "none":
        raise CollectError(
            f"{run.path} has no replay buffer of its own: --replay needs a run from scratch, past its first step; "
            "leave --replay out to roll the policy out."
        )
    rows = {name: ring[name][-transitions:] for name in ("observations", "actions", "rewards", "next_observations")}
    terminals = ring["masks"][-transitions:] == 0
    ends = ring["terminals"][-transitions:] > 0
    rows["rewards"] = rows["rewards"] / task.rewards.factor + task.rewards.shift
    return rows | {"terminals": terminals, "timeouts": ends & ~terminals}


def _whole_returns(rows: Episode, *, begins_whole: bool, ends_whole: bool) -> np.ndarray:
    """Returns of the episodes that are there from their first to their last step."""
    returns = trajectories.returns(rows["rewards"], rows["terminals"] | rows["timeouts"])
    return returns[int(not begins_whole) : len(returns) - int(not ends_whole)]


def _report(options: Options, task: Task, environment: str | None, checkpoint: Checkpoint, rows: Episode) -> str:
    # A rollout's last episode is cut off where enough rows are there, a buffer's first one where it begins.
    returns = _whole_returns(rows, begins_whole=not options.replay, ends_whole=options.replay)
    what = "the replay buffer" if options.replay else options.name
    spread = (
        f"mean return {returns.mean():.4g}, deviation {np.std(returns):.4g}, best {returns.max():.4g}"
        if len(returns)
        else "nothing to sum up"
    )
    lines = [
        f"{options.out}: {len(rows['rewards']):,} transitions of {task.name}, {what} after step "
        f"{checkpoint.meta['step']:,} of {options.policy}",
        f"  {len(returns):,} whole episodes: {spread}",
        "train on it:",
        f"  {_training_command(options.out, task, environment)}",
    ]
    return "\n".join(lines)


def _training_command(out: Path, task: Task, environment: str | None) -> str:
    """D4RL's tasks read the format; for all others it is own data, with an environment where one can be named."""
    if task.suite == "d4rl":
        return f"dac --env {task.name} --dataset_path {out}"
    named = task.name if task.suite in ("gymnasium", "ogbench") else environment
    return f"dac --env own/mine --dataset_path {out}" + (f" --environment {named}" if named else "")
