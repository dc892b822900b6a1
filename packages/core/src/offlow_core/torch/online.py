"""Training in an environment: a step, its transition into the ring, updates on batches from the ring, over and over."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import gymnasium
import numpy as np
import torch

from offlow_core.data.reward_rules import UNCHANGED
from offlow_core.evaluation.action_queue import ActionQueue
from offlow_core.random_streams import stream_seed
from offlow_core.torch.chunk_sampler import ChunkSampler
from offlow_core.torch.device_data import DeviceTransitions, Sampler
from offlow_core.torch.member import Member
from offlow_core.torch.replay import PER_STEP, Replay
from offlow_core.training.interaction import Interaction
from offlow_core.training.learner import Phase
from offlow_core.training.saved_arrays import part_of


@dataclass(frozen=True, kw_only=True)
class OnlinePhase(Phase):
    """Environment steps, each followed by `updates_per_step` updates.

    The first `random_steps` actions are drawn from the action space; updates begin with step `first_update`, counted
    from 1 in this phase. `begin` prepares the agent at the start, and again whenever a saved state continues here.
    `samples_last` is for the ring: see `Replay`. Only a phase without steps may lack an environment.
    """

    make_environment: Callable[[], gymnasium.Env] | None
    buffer_size: int
    samples_last: bool = False
    random_steps: int = 0
    first_update: int = 1
    updates_per_step: int = 1
    rewards: Callable[[np.ndarray], np.ndarray] = UNCHANGED
    begin: Callable[[Any], None] = field(default=lambda agent: None)

    def capacity(self, offline: int) -> int:
        """Of the ring of a dataset with so many transitions."""
        return max(self.buffer_size, offline + 1)

    def most_sampled(self, offline: int) -> int:
        """How many transitions of that ring can be drawn from when it is full."""
        return self.capacity(offline) - (0 if self.samples_last else 1)

    def open(
        self, member: Member, train: DeviceTransitions, sampler: Sampler | ChunkSampler, batch_size: int
    ) -> "OnlineStage":
        """Make one seed's environment and its ring, which begins with the dataset."""
        return OnlineStage(self, member, train, sampler, batch_size)


class OnlineStage:
    """One seed in an online phase."""

    def __init__(
        self,
        phase: OnlinePhase,
        member: Member,
        train: DeviceTransitions,
        sampler: Sampler | ChunkSampler,
        batch_size: int,
    ):
        self._phase, self._member = phase, member
        capacity = phase.capacity(len(train))
        self._replay = Replay.over(train, capacity, phase.steps, samples_last=phase.samples_last)
        self._interaction = Interaction(phase.make_environment, [member.seed], phase.rewards)
        self._queue = ActionQueue()
        phase.begin(member.agent)
        self._policy = member.agent.policy()
        ring = self._replay
        member.draw_from(lambda generator: sampler.sample(ring.transitions, generator, batch_size, ring.size))

    def advance(self, step: int) -> None:
        """The environment step after `step` others of the run, and its updates."""
        number = step + 1 - self._phase.first_step
        transition = self._interaction.step(self._action(step + 1, is_random=number <= self._phase.random_steps)[None])
        if transition["terminals"][0]:
            self._queue.clear()
        device = self._replay.transitions.rows.device
        self._replay.insert({name: torch.as_tensor(transition[name][0], device=device) for name in PER_STEP})
        if number >= self._phase.first_update:
            done = self._phase.first_step + (number - self._phase.first_update) * self._phase.updates_per_step
            for updates in range(done, done + self._phase.updates_per_step):
                self._member.advance(updates)

    def _action(self, number: int, *, is_random: bool) -> np.ndarray:
        """The next action [A] of step `number`; a chunk is decided on when the last one is used up."""
        space = self._interaction.action_space
        if is_random:
            generator = np.random.default_rng(stream_seed(self._member.seed, "random_actions", number))
            return generator.uniform(space.low, space.high).astype(space.dtype)
        if not self._queue:
            noise_seed = np.array([[stream_seed(self._member.seed, "act"), number]], np.uint32)
            self._queue.add(self._policy(self._interaction.observations, noise_seed)[0])
        return np.clip(self._queue.pop(), space.low, space.high)

    def metrics(self) -> dict[str, float]:
        """Of the episode that finished last, and the mean return of the latest; empty before the first."""
        (episode,) = self._interaction.last_episodes()
        return {f"online/episode_{name}": value for name, value in episode.items()}

    def state_arrays(self) -> dict[str, np.ndarray]:
        """The ring's online part, where the environment stands, and what is left of a chunk."""
        parts = {"replay/": self._replay.state_arrays(), "interaction/": self._interaction.state_arrays(0)}
        named = {prefix + name: array for prefix, arrays in parts.items() for name, array in arrays.items()}
        return named | {"queue": self._queue.remaining(self._interaction.action_space.shape)}

    def load_state_arrays(self, arrays: dict[str, np.ndarray]) -> None:
        """Take that up again."""
        self._replay.load_state_arrays(part_of(arrays, "replay/"))
        self._interaction.load_state_arrays(0, part_of(arrays, "interaction/"))
        if len(arrays["queue"]):
            self._queue.add(arrays["queue"])

    def close(self) -> None:
        """Close the environment."""
        self._interaction.close()
