"""Online fine-tuning: an environment step, its transition into the ring, a batch and an update, over and over."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np

from offlow_core.data.reward_rules import UNCHANGED, RewardMap
from offlow_core.jax.device_data import Batch, DeviceTransitions, Sampler
from offlow_core.jax.networks import Array
from offlow_core.jax.phases import Surroundings
from offlow_core.jax.replay import Replay, create_replay, insert, online_part, restore
from offlow_core.jax.seed_axis import one_seed, over_seeds, stack_seeds
from offlow_core.jax.streams import stream_keys
from offlow_core.jax.updates import Metrics, Update, report_if
from offlow_core.training.interaction import Interaction
from offlow_core.training.learner import Phase
from offlow_core.training.saved_arrays import part_of


@dataclass(frozen=True, kw_only=True)
class OnlinePhase(Phase):
    """One environment step per update. Batches are drawn from dataset and new transitions together, or `balanced`:
    one half from each. `rewards` makes the environment's rewards into those that the agent is trained on. Only a phase
    without steps may lack an environment."""

    update: Update
    batch_size: int
    make_environment: Callable[[], gymnasium.Env] | None
    buffer_size: int
    balanced: bool = False
    rewards: RewardMap = UNCHANGED
    store: None = None

    def open(self, state: Any, around: Surroundings) -> "_OnlineStage":
        """Make the environments, the ring and the programs."""
        return _OnlineStage(self, around)


class _OnlineStage:
    def __init__(self, phase: OnlinePhase, around: Surroundings):
        self._seeds, self._offline = around.seeds, around.train
        transitions = int(around.train.size)
        capacity = max(phase.buffer_size, transitions + 1)
        ring = create_replay(around.train, capacity, phase.steps, keep_offline=not phase.balanced)
        self._replay = stack_seeds([ring for _ in self._seeds])
        _tell_overwriting(capacity, int(ring.offline), phase)
        self._interaction = Interaction(phase.make_environment, self._seeds, phase.rewards)
        self._keys = {name: stream_keys(self._seeds, f"{name}/{phase.name}") for name in ("act", "data", "noise")}
        self._act = _acting_program(around, len(self._seeds))
        self._update = _update_program(phase, around.sampler, len(self._seeds))

    def advance(self, state: Any, step: int, steps: int) -> tuple[Any, Metrics]:
        metrics: Metrics = {}
        for number in range(step + 1, step + steps + 1):
            observations = self._interaction.observations
            actions = np.asarray(self._act(state, observations, self._keys["act"], number))
            transition = self._interaction.step(actions)
            state, self._replay, metrics = self._update(
                state,
                self._replay,
                self._keys["data"],
                self._keys["noise"],
                transition,
                self._offline,
                number,
                number == step + steps,
            )
        return state, metrics | self._episode_metrics()

    def _episode_metrics(self) -> Metrics:
        """Of the episode that each seed finished last; absent until every seed has finished one."""
        episodes = self._interaction.last_episodes()
        names = set.intersection(*(set(episode) for episode in episodes))
        return {
            f"online/episode_{name}": jnp.asarray([episode[name] for episode in episodes]) for name in sorted(names)
        }

    def validation_metrics(self, state: Any, step: int) -> Metrics:
        return {}

    def close(self) -> None:
        self._interaction.close()

    def state_arrays(self, index: int) -> dict[str, np.ndarray]:
        replay = online_part(one_seed(self._replay, index))
        walk = self._interaction.state_arrays(index)
        return {f"replay/{k}": v for k, v in replay.items()} | {f"interaction/{k}": v for k, v in walk.items()}

    def load_state_arrays(self, index: int, arrays: dict[str, np.ndarray]) -> None:
        self._interaction.load_state_arrays(index, part_of(arrays, "interaction/"))
        rings = [one_seed(self._replay, i) for i in range(len(self._seeds))]
        rings[index] = restore(rings[index], part_of(arrays, "replay/"))
        self._replay = stack_seeds(rings)


def _acting_program(around: Surroundings, num_seeds: int) -> Callable:
    rule = around.explore

    def act(state: Any, observation: Array, key: Array, number: Array) -> Array:
        z = jax.random.normal(jax.random.fold_in(key, number), (1, *rule.noise_shape))
        return rule.act(state, observation[None], z)[0]

    return jax.jit(over_seeds(act, num_seeds, shared=1))


def _update_program(phase: OnlinePhase, sampler: Sampler, num_seeds: int) -> Callable:
    def update(
        state: Any,
        replay: Replay,
        data_key: Array,
        noise_key: Array,
        transition: dict[str, Array],
        offline: DeviceTransitions,
        number: Array,
        wanted: Array,
    ) -> tuple[Any, Replay, Metrics]:
        replay = insert(replay, transition)
        batch = _draw(phase, sampler, offline, replay.transitions, jax.random.fold_in(data_key, number))
        state, report = phase.update(state, batch, jax.random.fold_in(noise_key, number))
        return state, replay, report_if(wanted, report)

    return jax.jit(over_seeds(update, num_seeds, shared=3), donate_argnums=(0, 1))


def _draw(
    phase: OnlinePhase, sampler: Sampler, offline: DeviceTransitions, ring: DeviceTransitions, key: Array
) -> Batch:
    if not phase.balanced:
        return sampler.sample(ring, key, phase.batch_size, {})
    offline_key, online_key = jax.random.split(key)
    half = phase.batch_size // 2
    old = sampler.sample(offline, offline_key, half, {})
    new = sampler.sample(ring, online_key, phase.batch_size - half, {})
    return jax.tree.map(lambda *parts: jnp.concatenate(parts), old, new)


def _tell_overwriting(capacity: int, offline: int, phase: OnlinePhase) -> None:
    if offline + phase.steps > capacity:
        first = capacity - offline + 1
        print(
            f"the replay buffer (buffer_size {phase.buffer_size}) is full after {first - 1} online steps; from then on "
            "each new transition overwrites the oldest one in it",
            file=sys.stderr,
        )
