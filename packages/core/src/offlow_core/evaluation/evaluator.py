"""Episodes of a policy in many environments at once."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Self

import gymnasium
import numpy as np
from tqdm import tqdm

from offlow_core.evaluation.errors import EvaluationError
from offlow_core.evaluation.pool import SlotsFailed, WorkerPool
from offlow_core.evaluation.records import EpisodeRecord
from offlow_core.evaluation.schedule import Policy, Schedule
from offlow_core.evaluation.video import Film, FilmedEnvironment


def episode_seed(seed: int, episode: int) -> int:
    """Seed (32 bits) of one episode of an evaluation: for its environment and for the policy's noise."""
    return int(np.random.SeedSequence([seed, episode]).generate_state(1)[0])


class Evaluator:
    """Plays episodes in `num_envs` environments, spread over worker processes.

    Records depend on the policy, `episodes` and `seed`; not on `num_envs`, nor on `num_workers`, nor on what was
    evaluated before. The policy is always called with `num_envs` rows, so that it is compiled once: rows without a
    live episode hold an earlier observation (or zeros), and what it answers for them is not used. Workers start with
    the first evaluation and stay for the next ones; after an error all of them are stopped, and the next evaluation
    starts new ones. The calling process's numpy generator is left as it was.
    """

    def __init__(
        self, make_environment: Callable[..., gymnasium.Env], *, num_envs: int = 16, num_workers: int | None = None
    ) -> None:
        """Start nothing yet.

        `make_environment` builds an environment with a one-axis Box action space; it has to be picklable unless
        `num_workers` is 0, and to take `render_mode` if videos are wanted. `num_workers`: None is one for each CPU
        that this process may use, 0 runs all environments in this process.
        """
        if num_envs < 1:
            raise ValueError(f"num_envs must be at least 1, got {num_envs}")
        if num_workers is not None and num_workers < 0:
            raise ValueError(f"num_workers must be None, 0 or positive, got {num_workers}")
        self._make_environment = make_environment
        self._num_envs = num_envs
        self._num_workers = min(_usable_cpus() if num_workers is None else num_workers, num_envs)
        self._pool: WorkerPool | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop the workers; may be called at any time and more than once."""
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.close()

    def evaluate(self, policy: Policy, *, episodes: int, seed: int, progress: bool = False) -> list[EpisodeRecord]:
        """Play `episodes` episodes; one record for each, in order.

        Raises EvaluationError naming the episode, its seed and the cause if an environment raises, a worker process
        dies or an action is not finite; ValueError if the policy's answer has an unexpected shape.
        """
        if episodes < 1 or seed < 0:
            raise ValueError(f"expected at least one episode and a seed from 0, got {episodes=}, {seed=}")
        seeds = [episode_seed(seed, episode) for episode in range(episodes)]
        schedule = Schedule(policy, self._num_envs, seeds)
        try:
            self._pool = self._pool or WorkerPool(self._make_environment, self._num_workers)
            _play(schedule, self._pool, progress)
        except BaseException:
            self.close()  # environments may stand anywhere, and replies may be on their way
            raise
        return [schedule.records[episode] for episode in range(episodes)]

    def record_video(self, policy: Policy, path: str | Path, *, episodes: int, seed: int) -> list[EpisodeRecord]:
        """Write the first episodes of `evaluate`, one after another, to an mp4 file; their records.

        A border tells how an episode stands: grey under way, green while the step's info reports success, red at the
        end of an episode that reports failure. Rendering happens in this process. Raises EvaluationError as `evaluate`
        does, and ModuleNotFoundError if the extra `video` is not installed.
        """

        def policy_of_one(observations: np.ndarray, noise_seeds: np.ndarray) -> np.ndarray:
            rows = np.zeros(self._num_envs, int)  # the batch that the policy is compiled for
            return policy(observations[rows], noise_seeds[rows])[:1]

        def make_filmed_environment() -> FilmedEnvironment:
            return FilmedEnvironment(self._make_environment(render_mode="rgb_array"), film)

        with Film(Path(path)) as film, Evaluator(make_filmed_environment, num_envs=1, num_workers=0) as evaluator:
            try:
                return evaluator.evaluate(policy_of_one, episodes=episodes, seed=seed)
            except EvaluationError as error:
                if film.frames > 0:
                    raise
                hint = "No frame was rendered. On a machine without display set MUJOCO_GL=egl or MUJOCO_GL=osmesa."
                raise EvaluationError(f"{error}\n{hint}") from None


def _play(schedule: Schedule, pool: WorkerPool, progress: bool) -> None:
    total = schedule.episodes
    with tqdm(total=total, desc="evaluation", unit="episode", leave=False, disable=not progress) as bar:
        while commands := schedule.next_commands():
            try:
                for slot, outcome in pool.execute(commands):
                    schedule.take(slot, outcome)
            except SlotsFailed as failure:
                raise EvaluationError(f"{schedule.describe(failure.slots)}: {failure}") from None
            bar.update(len(schedule.records) - bar.n)


def _usable_cpus() -> int:
    # A container or a batch system may grant fewer than the machine has; macOS cannot tell.
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
