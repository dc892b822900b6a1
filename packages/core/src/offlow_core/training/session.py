"""One training command from its options to its finished run directories, for any algorithm and backend."""

import sys
import time
import uuid
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import KW_ONLY, dataclass
from typing import Any, Generic

import numpy as np

from offlow_core import extras
from offlow_core.data.transitions import Dataset
from offlow_core.evaluation import Evaluator
from offlow_core.nested import flattened
from offlow_core.option_checks import OptionError
from offlow_core.suites import resolve
from offlow_core.suites.task import Task
from offlow_core.training.command_line import INTERRUPTED, ParsedCommand
from offlow_core.training.curves import TRAINING_RETURN, plot_run
from offlow_core.training.learner import Learner
from offlow_core.training.loggers import make_logger
from offlow_core.training.loop import LoopSettings, Member, TrainingLoop
from offlow_core.training.manifest import build_manifest
from offlow_core.training.option_json import to_json
from offlow_core.training.options import OnlineOptions, Options, RunOptions
from offlow_core.training.resuming import check_same_data, options_of, runs_to_resume, with_recorded
from offlow_core.training.run_directory import RunDirectory
from offlow_core.training.run_scores import final_scores
from offlow_core.training.selection import LastModel, ModelSelection
from offlow_core.training.stopping import StoppedError


@dataclass(frozen=True)
class Program(Generic[Options]):
    """What the session has to know of an algorithm package."""

    name: str
    variants: Mapping[str, type[Options]]
    make_learner: Callable[[Options, Dataset, Task], Learner]
    packages: Sequence[str]
    _: KW_ONLY
    load_dataset: Callable[[Options, Task], Dataset] = lambda options, task: task.load_dataset()
    """`suites.from_scratch.no_data` for an agent that starts without data."""
    selection: Callable[[Options], ModelSelection] = lambda options: LastModel()
    from_data: Callable[[Options, Dataset, Task], Options] = lambda options, dataset, task: options
    """The options with numbers in place of what they leave to the data; the manifest records these numbers."""
    conclude: Callable[[Sequence[RunDirectory], Task], None] = lambda runs, task: None
    """What is written when all seeds of a session have finished."""


def run_training(command: ParsedCommand, program: Program) -> int:
    """Train as the command says; the exit status. Prints where to look when it is done."""
    try:
        with ExitStack() as stack:
            _train(command, program, stack)
    except StoppedError:
        return INTERRUPTED
    return 0


def _train(command: ParsedCommand, program: Program, stack: ExitStack) -> None:
    start_s = time.monotonic()
    runs = [stack.enter_context(run) for run in runs_to_resume(command)]
    options = options_of(runs, command, program.variants) if runs else command.options
    require_extras(options)
    task = resolve(options.env_name, options.suite)
    _require_environment(task, options)
    dataset = program.load_dataset(options, task)
    check_same_data(runs, dataset)
    print(describe(task, dataset), file=sys.stderr)
    complete = (with_recorded(options, runs[0]) if runs else None) or program.from_data(options, dataset, task)
    learner = program.make_learner(complete, dataset, task)
    stack.callback(learner.close)
    if not runs:
        manifest = make_manifest(program, learner, task, dataset, options)
        given = dict(flattened(to_json(options)))
        manifest["from_data"] = {name: value for name, value in flattened(to_json(complete)) if value != given[name]}
        new = create_runs(options, task, manifest, learner.seeds)
        runs = [stack.enter_context(run) for run in new]
    del dataset  # the learner keeps what it needs of it, which may be on a device
    stack.enter_context(_ending_recorded(runs))
    evaluator = _make_evaluator(task, options, stack)
    members = [_make_member(run, task, options, stack) for run in runs]
    selection = program.selection(options)
    score, settings = task.score.of_means, loop_settings(options)
    loop = TrainingLoop(learner, members, evaluator, score, settings, selection.ends_early)
    if command.resume is not None:
        loop.resume()
        for run, seed in zip(runs, learner.seeds, strict=True):
            run.restart({**to_json(options), "seed": seed})
        print(f"resuming {runs[0].path} after step {loop.step}", file=sys.stderr)
    loop.run()
    for i, member in enumerate(members):
        finish(member, loop, i, task, options, selection, time.monotonic() - start_s)
    program.conclude(runs, task)


def require_extras(options: RunOptions) -> None:
    """Raise before anything is done if an option needs a package that is not installed."""
    wanted = {
        "video": options.video_episodes > 0,
        "wandb": options.wandb != "disabled",
        "tensorboard": options.tensorboard,
    }
    for extra, is_wanted in wanted.items():
        if is_wanted:
            extras.require(extra)


def _require_environment(task: Task, options: RunOptions) -> None:
    """Online training and films are refused where there is no environment; that nothing is evaluated then is said.

    Raises UnusableEnvironmentError where online training alone needs one and it cannot be made.
    """
    online_steps = options.online_steps if isinstance(options, OnlineOptions) else 0
    if task.make_environment is not None:
        # Where nothing is evaluated at first, an environment that cannot be made would show after the offline phase.
        if online_steps > 0 and options.eval_interval == 0:
            task.make_environment().close()
        return
    for name, number in {"video_episodes": options.video_episodes, "online_steps": online_steps}.items():
        if number > 0:
            raise OptionError(f"{name} needs an environment, and {task.name} has none; name one with --environment")
    print(f"{task.name} has no environment: it is trained on without evaluation", file=sys.stderr)


def _make_evaluator(task: Task, options: RunOptions, stack: ExitStack) -> Evaluator | None:
    if task.make_environment is None:
        return None
    evaluator = Evaluator(task.make_environment, num_envs=options.eval_envs, num_workers=options.eval_workers)
    return stack.enter_context(evaluator)


@contextmanager
def _ending_recorded(runs: Sequence[RunDirectory]) -> Generator[None]:
    """Leave a status that says how it ended in every run that has not finished."""
    try:
        yield
    except BaseException as error:
        stopped = isinstance(error, StoppedError | KeyboardInterrupt)
        for run in runs:
            if run.status["state"] == "running":
                run.set_status("interrupted" if stopped else "failed", error=error)
        if stopped:
            reason = str(error) or "interrupted"
            print(f"{reason}; continue with --resume {runs[0].path}", file=sys.stderr)
        raise


def _make_member(run: RunDirectory, task: Task, options: RunOptions, stack: ExitStack) -> Member:
    tensorboard = task.score if options.tensorboard else None
    wandb = {"wandb": options.wandb, "project": options.wandb_project, "group": options.wandb_group}
    logger = make_logger(run, **wandb, tensorboard=tensorboard)
    stack.push(lambda kind, error, trace: logger.close(failed=error is not None))
    return Member(run, logger)


def describe(task: Task, dataset: Dataset) -> str:
    """One line on what is trained on."""
    train = dataset.train
    shape = "x".join(str(length) for length in train.observations.shape[1:])
    if len(train) == 0:
        return f"{task.canonical_name}: from scratch, observations {shape}, actions {train.actions.shape[1]}"
    return (
        f"{task.canonical_name}: {dataset.extent}, observations {shape}, "
        f"actions {train.actions.shape[1]}, {train.nbytes / 1e6:,.0f} MB ({dataset.origin['source']})"
    )


def finish(
    member: Member,
    loop: TrainingLoop,
    index: int,
    task: Task,
    options: RunOptions,
    selection: ModelSelection,
    wall_s: float,
) -> None:
    """Pictures, final scores and the closing line of one finished run."""
    run = member.run
    picture = plot_run(run, score=task.score, phases=loop.phase_starts)
    if options.video_episodes > 0:
        loop.record_video(index, run.path / "episodes.mp4", options.video_episodes)
    evaluations = run.read("eval")
    scores = final_scores(evaluations["step"], evaluations.get("score", np.zeros(0)))
    if scores:
        scores |= selection.scores(run, task.score)
    scores |= training_return(run)
    timing = {"wall_s": round(wall_s, 1), "evaluation_s": round(loop.evaluation_s, 1)}
    run.set_status("finished", scores=scores, timing=timing)
    text = ", ".join(f"{rule} {value:.1f}" for rule, value in scores.items()) or "no evaluation"
    seen = f"; see {picture}" if picture is not None else ""
    print(f"{run.path}: {task.score.name}: {text}{seen}")


def training_return(run: RunDirectory) -> dict[str, float]:
    """What training from scratch is reported by: the mean return of the last 20 training episodes, if any."""
    returns = run.read("train").get(TRAINING_RETURN, np.zeros(0))
    known = returns[np.isfinite(returns)]
    return {"return of the last 20 training episodes": float(known[-1])} if len(known) else {}


def loop_settings(options: RunOptions) -> LoopSettings:
    """The part of a run's options that the loop needs."""
    return LoopSettings(
        log_interval=options.log_interval,
        eval_interval=options.eval_interval,
        eval_episodes=options.eval_episodes,
        save_interval=options.save_interval,
        checkpoint_minutes=options.checkpoint_minutes,
    )


def make_manifest(
    program: Program, learner: Learner, task: Task, dataset: Dataset, options: RunOptions
) -> dict[str, Any]:
    """What decides a run's numbers beside its options; seeds trained together share a `session`."""
    origin = {**dataset.origin, "sha256": dataset.checksum()}
    semantics = {"score": task.score.name, **task.semantics()}
    manifest = build_manifest(packages=program.packages, device=learner.device, dataset=origin, semantics=semantics)
    of_options = {"total_steps": options.total_steps, "changeable": sorted(options.changeable)}
    return {**manifest, **of_options, "session": uuid.uuid4().hex}


def create_runs(
    options: RunOptions, task: Task, manifest: Mapping[str, Any], seeds: Sequence[int]
) -> list[RunDirectory]:
    """A new run directory per seed."""
    return [
        RunDirectory.create(
            options.save_dir,
            task.name,
            options.agent.agent_name,
            seed,
            {**to_json(options), "seed": seed},
            manifest,
            keep_checkpoints=options.keep_checkpoints,
        )
        for seed in seeds
    ]
