"""Evaluating a policy that a run has saved."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from offlow_core import extras
from offlow_core.errors import UserError
from offlow_core.evaluation import EpisodeRecord, Evaluator, Policy, summarise
from offlow_core.option_checks import OptionError, check
from offlow_core.suites import resolve
from offlow_core.suites.task import Task
from offlow_core.training.algorithms import Algorithm, options_of_run
from offlow_core.training.checkpoints import Checkpoint, CheckpointError
from offlow_core.training.command_line import fail, read_record
from offlow_core.training.loop import evaluation_seed
from offlow_core.training.options import RunOptions
from offlow_core.training.run_directory import RunDirectory
from offlow_core.training.saved_scores import SavedScore, make_folder
from offlow_core.training.tables import Table


class FilmError(UserError, OSError):
    """Episodes that were played and kept cannot be filmed."""


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
    """Environment for own data: a gymnasium name, a task of OGBench, or `module:function`; None: the run's."""
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
    evaluate_run(RunDirectory.open(argv[0]), settings, algorithm)
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


def evaluate_run(run: RunDirectory, settings: EvaluateOptions, algorithm: Algorithm) -> None:
    """Play episodes with a run's saved policy, keep each one's record, and print what came of it.

    A FilmError where only the film that was asked for cannot be made.
    """
    if settings.video_episodes > 0:
        extras.require("video")
    saved = SavedRun.load(run, algorithm, step=settings.checkpoint, environment=settings.environment)
    folder = make_folder(run.path)  # before minutes of playing
    policy, task = saved.policy(settings.policy), saved.task
    seed = evaluation_seed(settings.seed, 0)
    make = task.require_environment()
    with Evaluator(make, num_envs=settings.eval_envs, num_workers=settings.eval_workers) as evaluator:
        episodes = evaluator.evaluate(policy, episodes=settings.episodes, seed=seed, progress=sys.stderr.isatty())
        result = _result(saved, settings, task.score.of_means(summarise(episodes)))
        path = folder / f"{result.name}.csv"
        path.unlink(missing_ok=True)  # an equal evaluation's
        Table(path).append(result.step, [episode.row() for episode in episodes])
        result.write(run.path)
        print(_in_words(saved, result, episodes, path), flush=True)
        if settings.video_episodes > 0:
            try:
                film = folder / f"{result.name}.mp4"
                evaluator.record_video(policy, film, episodes=settings.video_episodes, seed=seed)
            except OSError as error:
                raise FilmError(f"{run.path}: evaluated, but not filmed: {error}") from error


def _in_words(saved: SavedRun, result: SavedScore, episodes: Sequence[EpisodeRecord], path: Path) -> str:
    task, means = saved.task, summarise(episodes)
    scores = task.score.of(np.array([episode.row()[task.score.column] for episode in episodes]))
    error = scores.std() / np.sqrt(len(scores))
    return "\n".join(
        [
            f"{saved.run.path}: {result.policy} after step {result.step}, {len(episodes)} episodes",
            f"  {task.score.name} {result.score:.1f} (standard error {error:.1f})",
            f"  return {means['return']:.4g}, length {means['length']:.4g}; episodes in {path}",
        ]
    )


def _result(saved: SavedRun, settings: EvaluateOptions, score: float) -> SavedScore:
    return SavedScore(
        policy=settings.policy,
        step=saved.checkpoint.meta["step"],
        episodes=settings.episodes,
        seed=settings.seed,
        environment=settings.environment,
        score=score,
    )


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
