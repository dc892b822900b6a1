"""Evaluating a policy that a run has saved."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from offlow_core.evaluation import EpisodeRecord, Evaluator, Policy, summarise
from offlow_core.files import write_json
from offlow_core.option_checks import OptionError, check
from offlow_core.suites import resolve
from offlow_core.suites.task import Task
from offlow_core.training.algorithms import Algorithm, options_of_run
from offlow_core.training.checkpoints import Checkpoint, CheckpointError
from offlow_core.training.command_line import fail, read_record
from offlow_core.training.loop import evaluation_seed
from offlow_core.training.options import RunOptions
from offlow_core.training.run_directory import RunDirectory
from offlow_core.training.tables import Table

EVALUATED = "offlow evaluate"
"""How the name of a score begins that was taken after the run."""


@dataclass(frozen=True)
class EvaluateOptions:
    """How to evaluate a saved policy."""

    episodes: int = 50
    """Episodes to play."""
    seed: int = 0
    """Root of the evaluation's random stream; the same for two runs gives them the same starts."""
    policy: str = "policy"
    """Which of the agent's policies; `policy` is the trained one, an unknown name lists the others."""
    environment: str | None = None
    """Environment for own data: a gymnasium name, or `module:function`; None: the run's."""
    checkpoint: int | None = None
    """Step of the checkpoint; None: the last."""
    eval_envs: int = 10
    """Environments that share one policy call; does not change the result."""
    eval_workers: int | None = None
    """Processes that step them; None: one per core, 0: this process."""
    video_episodes: int = 0
    """Episodes to film."""

    def __post_init__(self) -> None:
        for name in ("episodes", "eval_envs"):
            check(self, name, lambda value: value >= 1, "at least 1")
        for name in ("seed", "video_episodes"):
            check(self, name, lambda value: value >= 0, "at least 0")


def evaluate_command(argv: Sequence[str], algorithm: Algorithm) -> int:
    """`PROGRAM evaluate RUN ...`: play episodes with a saved policy, print the means, keep each episode's record."""
    program = algorithm.program
    if not argv or argv[0].startswith("-"):
        fail(f"{program} evaluate", "name a run directory first, like runs/<task>/<algorithm>/<seed>-<time>")
    description = "Evaluate the policy saved in a run directory, which is named before the options."
    settings = read_record(argv[1:], EvaluateOptions, program=f"{program} evaluate RUN", description=description)
    print(evaluate_run(RunDirectory.open(argv[0]), settings, algorithm))
    return 0


@dataclass(frozen=True)
class SavedRun:
    """A run and all that its directory leads to: the policy that it trained, and the task for it to act in."""

    run: RunDirectory
    algorithm: Algorithm
    options: RunOptions
    task: Task
    """Has an environment."""
    checkpoint: Checkpoint

    @classmethod
    def load(
        cls, run: RunDirectory, algorithm: Algorithm, *, step: int | None = None, environment: str | None = None
    ) -> "SavedRun":
        """The checkpoint after a step (None: the last), and the run's task in its own environment or in another.

        OptionError where the task has no environment, CheckpointError where there is no such checkpoint.
        """
        options = options_of_run(run, algorithm)
        if environment is not None:
            options = replace(options, environment=environment)
        task = resolve(options.env_name, options.suite)
        if task.make_environment is None:
            raise OptionError(f"{task.name} has no environment, so its policy cannot act; name one with --environment")
        return cls(run, algorithm, options, task, find_checkpoint(run, step))

    def policy(self, name: str) -> Policy:
        """One of the agent's policies; an unknown name is an error that lists them."""
        observations, actions = self.task.spaces()
        shape, size = observations.shape, actions.shape[0]
        return self.algorithm.load_policy(self.options, shape, size, self.checkpoint.arrays, name)


def evaluate_run(run: RunDirectory, settings: EvaluateOptions, algorithm: Algorithm) -> str:
    """Play episodes with a run's saved policy and keep each one's record; what came of it, in words."""
    saved = SavedRun.load(run, algorithm, step=settings.checkpoint, environment=settings.environment)
    step, task = saved.checkpoint.meta["step"], saved.task
    target = run.path / "evaluations" / f"{settings.policy}-step{step}-seed{settings.seed}"
    records = _play(saved.policy(settings.policy), task, settings, target)
    means = summarise(records)
    path = _write(target, step, records)
    write_json(target.with_suffix(".json"), {"rule": _rule(settings, step), "score": task.score.of_means(means)})
    scores = task.score.of(np.array([record.row()[task.score.column] for record in records]))
    error = scores.std() / np.sqrt(len(scores))
    return "\n".join(
        [
            f"{run.path}: {settings.policy} after step {step}, {len(records)} episodes",
            f"  {task.score.name} {task.score.of_means(means):.1f} (standard error {error:.1f})",
            f"  return {means['return']:.4g}, length {means['length']:.4g}; episodes in {path}",
        ]
    )


def _rule(settings: EvaluateOptions, step: int) -> str:
    """What the score is called in comparisons: equal for runs that were evaluated alike."""
    checkpoint = "last checkpoint" if settings.checkpoint is None else f"step {step}"
    elsewhere = "" if settings.environment is None else f", in {settings.environment}"
    conditions = f"{settings.policy}, {checkpoint}, {settings.episodes} episodes, seed {settings.seed}{elsewhere}"
    return f"{EVALUATED} ({conditions})"


def _write(target: Path, step: int, records: Sequence[EpisodeRecord]) -> Path:
    """Each episode's record as a table; its path. What was known of an earlier evaluation of this name is gone."""
    for suffix in (".csv", ".json"):
        target.with_suffix(suffix).unlink(missing_ok=True)
    path = target.with_suffix(".csv")
    Table(path).append(step, [record.row() for record in records])
    return path


def _play(policy: Policy, task: Task, settings: EvaluateOptions, target: Path) -> list[EpisodeRecord]:
    """The episodes; films of the first ones, if any are wanted, lie at `target`."""
    seed = evaluation_seed(settings.seed, 0)
    make = task.require_environment()
    with Evaluator(make, num_envs=settings.eval_envs, num_workers=settings.eval_workers) as evaluator:
        records = evaluator.evaluate(policy, episodes=settings.episodes, seed=seed, progress=sys.stderr.isatty())
        target.parent.mkdir(exist_ok=True)
        if settings.video_episodes > 0:
            evaluator.record_video(policy, target.with_suffix(".mp4"), episodes=settings.video_episodes, seed=seed)
    return records


def find_checkpoint(run: RunDirectory, step: int | None = None) -> Checkpoint:
    """The checkpoint that was saved after this step of the run; the last one for None."""
    if step is None:
        checkpoint = run.checkpoints.latest()
        if checkpoint is None:
            raise CheckpointError(f"{run.path} has no checkpoint yet; let it train on (--resume {run.path})")
        return checkpoint
    candidates = [run.checkpoints.at(number) for number in run.checkpoints.steps()]
    for checkpoint in candidates:
        if checkpoint.meta["step"] == step:
            return checkpoint
    steps = sorted({checkpoint.meta["step"] for checkpoint in candidates})
    raise CheckpointError(f"{run.path} has no checkpoint after step {step}; it has {steps}")
