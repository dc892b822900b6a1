"""Which episode runs in which slot, and the batch that the policy is asked with."""

import heapq
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from offlow_core.evaluation.environment_slot import Ending, Outcome
from offlow_core.evaluation.records import EpisodeRecord
from offlow_core.evaluation.workers import Command, Reset, Run

# policy(observations [n, ...], noise_seeds uint32 [n, 2]) -> actions [n, A] or chunks [n, h, A].
# The noise of row i depends on noise_seeds[i] = (episode seed, step) alone.
Policy = Callable[[np.ndarray, np.ndarray], np.ndarray]


@dataclass
class _Episode:
    number: int
    seed: int
    step: int = 0


class Schedule:
    """Episodes queued over slots; a slot takes the next one as soon as its own has ended.

    An episode's record depends on its seed only, so that neither the order nor the number of slots matters.
    """

    def __init__(self, policy: Policy, slots: int, seeds: Sequence[int]) -> None:
        self.episodes = len(seeds)
        self.records: dict[int, EpisodeRecord] = {}
        self._policy = policy
        self._waiting = deque(_Episode(number, seed) for number, seed in enumerate(seeds))
        self._live: dict[int, _Episode] = {}
        # Lowest first: slots take turns over workers, so that the last few episodes do not end up in one worker.
        self._free = list(range(slots))
        self._noise_seeds = np.zeros((slots, 2), np.uint32)
        self._observations: np.ndarray | None = None

    def next_commands(self) -> list[Command]:
        """Steps for the live episodes and resets for the next ones; nothing when all episodes are over."""
        commands: list[Command] = []
        if self._live:
            actions = self._ask()
            commands += [Run(slot, actions[slot]) for slot in self._live]
        while self._free and self._waiting:
            slot, episode = heapq.heappop(self._free), self._waiting.popleft()
            self._live[slot] = episode
            commands.append(Reset(slot, episode.seed))
        return commands

    def take(self, slot: int, outcome: Outcome) -> None:
        """Note where the episode of a slot stands now."""
        if isinstance(outcome, Ending):
            episode = self._live.pop(slot)
            self.records[episode.number] = _record(episode, outcome)
            heapq.heappush(self._free, slot)
        else:
            self._live[slot].step = outcome.step
            self._observe(slot, outcome.observation)

    def describe(self, slots: Sequence[int]) -> str:
        """The episodes in these slots, for messages."""
        live = [self._live[slot] for slot in slots]
        return ", ".join(f"episode {episode.number} (seed {episode.seed})" for episode in live)

    def _observe(self, slot: int, observation: np.ndarray) -> None:
        if self._observations is None:
            self._observations = np.zeros((len(self._noise_seeds), *observation.shape), observation.dtype)
        self._observations[slot] = observation

    def _ask(self) -> np.ndarray:
        for slot, episode in self._live.items():
            self._noise_seeds[slot] = episode.seed, episode.step
        assert self._observations is not None  # an episode is live, and its reset was observed
        # Copies, because a policy may keep what it is given, or still read it while the next step is being written.
        actions = np.asarray(self._policy(self._observations.copy(), self._noise_seeds.copy()))
        rows = len(self._noise_seeds)
        if actions.ndim not in (2, 3) or len(actions) != rows or actions.size == 0:
            raise ValueError(
                f"expected the policy to return actions [{rows}, A] or chunks [{rows}, h, A] for {rows} observations, "
                f"got shape {actions.shape}"
            )
        return actions


def _record(episode: _Episode, ending: Ending) -> EpisodeRecord:
    info = dict(ending.info)
    success = info.pop("success", float("nan"))
    return EpisodeRecord(episode.number, episode.seed, ending.return_, ending.length, ending.terminated, success, info)
