"""The training loop: blocks of updates between events, with logging, evaluation, checkpoints and a clean stop."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from offlow_core.errors import UserError
from offlow_core.evaluation import Evaluator, summarise
from offlow_core.option_checks import OptionError
from offlow_core.random_streams import stream_seed
from offlow_core.training.checkpoints import Checkpoint, CheckpointError
from offlow_core.training.learner import Learner, Phase
from offlow_core.training.loggers import LoggerGroup
from offlow_core.training.pacing import Pacer
from offlow_core.training.progress import Progress
from offlow_core.training.run_directory import RunDirectory
from offlow_core.training.stopping import StoppedError, StopRequest


class DivergedError(UserError, RuntimeError):
    """A loss, a gradient or a parameter is no longer finite."""


@dataclass(frozen=True)
class LoopSettings:
    """When things happen, in steps unless the name says otherwise; an interval of 0 means never."""

    log_interval: int
    eval_interval: int
    eval_episodes: int
    save_interval: int = 0
    checkpoint_minutes: float = 5.0


@dataclass(frozen=True)
class Member:
    """One seed's run: where its files are and where its numbers go."""

    run: RunDirectory
    logger: LoggerGroup


class TrainingLoop:
    """Drives a learner through its phases from `step` on; one member per seed of the learner.

    `evaluator` is None where the task has no environment. `score` turns the means of an evaluation into the task's
    headline number. `ends_early` looks at a run's evaluations (columns of `eval.csv`) after each of them; training
    is over when it holds for every member.
    """

    def __init__(
        self,
        learner: Learner,
        members: Sequence[Member],
        evaluator: Evaluator | None,
        score: Callable[[Mapping[str, float]], float],
        settings: LoopSettings,
        ends_early: Callable[[Mapping[str, np.ndarray]], bool] = lambda evaluations: False,
    ):
        self._learner, self.members, self._evaluator = learner, members, evaluator
        self._score, self._settings, self._ends_early = score, settings, ends_early
        self.origin = learner.phases[0].first_step
        self.end = learner.phases[-1].last_step
        self.step = self.origin
        self.evaluation_s = 0.0
        self.training_s = 0.0
        """Seconds of updates and of what prepares them, of all processes that have worked on the run."""
        self._checkpoint_s, self._saved_step = time.monotonic(), self.origin - 1
        self._is_over = False

    @property
    def phase_starts(self) -> dict[str, int]:
        """The last step before each phase that has steps, by name."""
        return {phase.name: phase.first_step for phase in self._learner.phases if phase.steps > 0}

    def resume(self) -> None:
        """Continue from the newest step of which every member has an intact checkpoint, or from the start."""
        states = self._newest_common()
        if states is None:
            self._forget_after(self.origin)
            return
        self.step = states[0].step + self.origin
        if self.step > self.end:
            raise OptionError(f"the run is at step {self.step}, beyond the {self.end} steps asked for")
        self._learner.load_state_arrays([state.arrays for state in states])
        self._forget_after(self.step)
        times = self.members[0].run.read("timing").get("training_s", np.zeros(1))
        self.training_s = float(np.nanmax(times, initial=0.0))

    def _newest_common(self) -> list[Checkpoint] | None:
        """Every member's checkpoint of one step; None if one of them was never saved.

        Seeds save one after the other: a kill in between leaves some a checkpoint behind, and a damaged file of one
        sends all of them further back.
        """
        before = None
        while True:
            found = [member.run.checkpoints.latest(before) for member in self.members]
            latest = [checkpoint for checkpoint in found if checkpoint is not None]
            if len(latest) < len(found):
                if before is None:
                    return None
                raise CheckpointError(
                    f"the seeds have no intact checkpoint of one step in common (up to {before}): start the run anew"
                )
            common = min(checkpoint.step for checkpoint in latest)
            if all(checkpoint.step == common for checkpoint in latest):
                return latest
            before = common

    def run(self) -> None:
        """Train to the end. Raises StoppedError after a stop request, DivergedError on a non-finite number."""
        done = self.step - self.origin
        with StopRequest() as stop, Progress(self.end - self.origin, initial=done) as progress:
            self._note_early_end(progress)
            for phase in self._learner.phases:
                if self.step >= phase.last_step or self._is_over:
                    continue
                progress.set_phase(f"{phase.name} (starting)")
                if self._enter(phase):
                    self._run_phase(phase, stop, progress)
                    if self.step == phase.last_step < self.end:
                        self._save_checkpoint()  # before anything that a second process could come to use
                    if self.step == phase.last_step:
                        self._learner.leave(phase)
                else:
                    progress.write(f"{phase.name}: an equal run has done it, its result is used")
                    self.step = phase.last_step
                    progress.skip_to(self.step - self.origin)
                if stop.requested and self.step < self.end and not self._is_over:
                    self._save_checkpoint()
                    raise StoppedError(f"stopped by {stop.reason} after step {self.step}")
            self._save_checkpoint(permanent=True)

    def _enter(self, phase: Phase) -> bool:
        start_s = time.monotonic()
        has_work = self._learner.enter(phase)
        self.training_s += time.monotonic() - start_s
        return has_work

    def _run_phase(self, phase: Phase, stop: StopRequest, progress: Progress) -> None:
        pacer, starting = Pacer(), True
        while self.step < phase.last_step:
            start_s = time.monotonic()
            remaining = self._next_event(phase) - self.step
            steps = pacer.run(lambda n: self._learner.advance(self.step, n), remaining)
            self.step += steps
            elapsed_s = time.monotonic() - start_s
            self.training_s += elapsed_s
            metrics = self._learner.metrics()
            self._check_finite(metrics)
            if starting:
                progress.set_phase(phase.name)  # only now does the rate mean anything
            else:
                progress.update(self.step - self.origin)
            starting = False
            if self._is_due(self._settings.log_interval, phase):
                self._log(metrics, steps / elapsed_s)
            if self._evaluates_now(phase):
                is_extra = not self._is_due(self._settings.eval_interval, phase)
                progress.set_score(self._evaluate(progress, is_extra=is_extra))
                self._note_early_end(progress)
            if self._checkpoint_due():
                self._save_checkpoint(permanent=self._is_due(self._settings.save_interval))
            if stop.requested or self._is_over:
                return

    def _note_early_end(self, progress: Progress) -> None:
        """Find out whether every member was evaluated at this very step and is to end early with it."""
        tables = [member.run.read("eval") for member in self.members]
        evaluated = all(len(table["step"]) and table["step"][-1] == self.step for table in tables)
        self._is_over = evaluated and all(self._ends_early(table) for table in tables)
        if self._is_over and self.step < self.end:
            progress.write(f"its own rule ends the run early, after step {self.step} of {self.end}")

    def _next_event(self, phase: Phase) -> int:
        intervals = [self._settings.log_interval, self._settings.save_interval]
        events = [phase.last_step]
        if self._evaluates(phase):
            intervals.append(self._settings.eval_interval)
            events.append(1)
        events += [(self.step // interval + 1) * interval for interval in intervals if interval > 0]
        return min(event for event in events if event > self.step)

    def _is_due(self, interval: int, phase: Phase | None = None) -> bool:
        at_end = phase is not None and self.step == phase.last_step
        return interval > 0 and (self.step % interval == 0 or at_end)

    def _evaluates(self, phase: Phase) -> bool:
        return self._evaluator is not None and phase.evaluates and self._settings.eval_interval > 0

    def _evaluates_now(self, phase: Phase) -> bool:
        return self._evaluates(phase) and (self.step == 1 or self._is_due(self._settings.eval_interval, phase))

    def _check_finite(self, metrics: Sequence[Mapping[str, float]]) -> None:
        for seed, values in zip(self._learner.seeds, metrics, strict=True):
            for name, value in values.items():
                if ("loss" in name or name.startswith("grad/")) and not math.isfinite(value):
                    raise DivergedError(f"{name} is {value} at step {self.step} (seed {seed}); {self._advice()}")

    def _advice(self) -> str:
        last = self.members[0].run.checkpoints.steps()
        kept = f"the checkpoint of step {last[-1] + self.origin} is kept" if last else "there is no checkpoint yet"
        return f"training has diverged; {kept}. Check the data and the learning rate"

    def _log(self, metrics: Sequence[Mapping[str, float]], rate: float) -> None:
        held_out = self._learner.validation_metrics(self.step)
        for member, values, validation in zip(self.members, metrics, held_out, strict=True):
            member.logger.log("train", self.step, {**values, **validation})
            member.logger.log("timing", self.step, {"updates_per_s": rate, "training_s": self.training_s})

    def _evaluate(self, progress: Progress, *, is_extra: bool) -> dict[str, float]:
        evaluator, start_s = self._require_evaluator(), time.monotonic()
        scores = []
        # The evaluation after the first update is an extra one and does not cut the first interval short.
        intervals = [{}] * len(self.members) if is_extra else self._learner.interval_means()
        for i, (member, seed) in enumerate(zip(self.members, self._learner.seeds, strict=True)):
            records = evaluator.evaluate(
                self._learner.policy(i),
                episodes=self._settings.eval_episodes,
                seed=evaluation_seed(seed, self.step),
                progress=progress.is_bar,
            )
            means = summarise(records)
            scores.append(self._score(means))
            interval = {f"interval/{name}": value for name, value in intervals[i].items()}
            member.logger.log("eval", self.step, {"score": scores[-1], **means, **interval})
            member.logger.log_episodes(self.step, [record.row() for record in records])
        elapsed_s = time.monotonic() - start_s
        self.evaluation_s += elapsed_s
        progress.leave_out(elapsed_s)
        for member in self.members:
            member.logger.log("timing", self.step, {"evaluation_s": elapsed_s, "training_s": self.training_s})
        return {"score": float(np.mean(scores))}

    def record_video(self, index: int, path: Path, episodes: int) -> None:
        """Film episodes of one seed's current policy."""
        seed = evaluation_seed(self._learner.seeds[index], self.step)
        self._require_evaluator().record_video(self._learner.policy(index), path, episodes=episodes, seed=seed)

    def _require_evaluator(self) -> Evaluator:
        if self._evaluator is None:
            raise ValueError("there is no evaluator: the task has no environment")
        return self._evaluator

    def _checkpoint_due(self) -> bool:
        by_time = time.monotonic() - self._checkpoint_s >= 60 * self._settings.checkpoint_minutes
        return by_time or self._is_due(self._settings.save_interval)

    def _save_checkpoint(self, *, permanent: bool = False) -> None:
        if self.step == self._saved_step and not permanent:
            return
        if not self._learner.is_finite():
            raise DivergedError(f"a parameter is not finite at step {self.step}; {self._advice()}")
        for i, member in enumerate(self.members):
            arrays = self._learner.state_arrays(i)
            member.logger.log("timing", self.step, {"training_s": self.training_s})  # for `resume`
            member.run.checkpoints.save(self.step - self.origin, arrays, {"step": self.step}, permanent=permanent)
        self._checkpoint_s, self._saved_step = time.monotonic(), self.step

    def _forget_after(self, step: int) -> None:
        for member in self.members:
            member.run.truncate_after(step)
            member.run.checkpoints.truncate_after(step - self.origin)


def evaluation_seed(seed: int, step: int) -> int:
    """Seed of the evaluation after `step` of a run: another stream than everything that training draws from."""
    return stream_seed(seed, "eval", step)
