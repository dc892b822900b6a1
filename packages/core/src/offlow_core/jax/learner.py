"""The JAX side of the training loop: phases of compiled blocks over device-resident data, seeds side by side."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import jax
import numpy as np

from offlow_core.data.transitions import Dataset
from offlow_core.evaluation import Policy
from offlow_core.jax.device_data import Batch, DeviceTransitions, Sampler, to_device
from offlow_core.jax.networks import Array
from offlow_core.jax.seed_axis import one_seed, over_seeds, stack_seeds
from offlow_core.jax.state_arrays import all_finite, from_arrays, to_arrays
from offlow_core.jax.streams import stream_key, stream_keys
from offlow_core.jax.updates import Metrics, Update, build_block
from offlow_core.training.learner import Phase

Columns = dict[str, Array]
"""Further values per transition, [S, n]: what one phase derives from the data for the next."""


class PhaseStore(Protocol):
    """Keeps what a finished phase produced, so that an equal run need not train it again."""

    def load(self, state: Any, seed: int) -> Any | None:
        """One seed's state with the stored part in place, or None if it is not stored."""
        ...

    def save(self, state: Any, seed: int) -> None:
        """Store the part of one seed's state."""
        ...


@dataclass(frozen=True)
class OfflinePhase(Phase):
    """A phase on the dataset.

    `prepare(state, data, name)` makes columns for the training set and, with another name, for the validation set;
    `validate(state, batch, key)` gives losses without updating.
    """

    batch_size: int = 256
    update: Update | None = None
    prepare: Callable[[Any, DeviceTransitions, str], Columns] | None = None
    validate: Callable[[Any, Batch, Array], Metrics] | None = None
    store: PhaseStore | None = None


class JaxLearner:
    """Trains the seeds of one agent through its phases; see `Learner` for the verbs.

    `init(key)` makes a state, `act(state, observations, z)` is the policy for noise z [n, action_dim].
    """

    def __init__(
        self,
        init: Callable[[Array], Any],
        act: Callable[[Any, Array, Array], Array],
        phases: Sequence[OfflinePhase],
        dataset: Dataset,
        seeds: Sequence[int],
        sampler: Sampler,
    ):
        self.phases, self.seeds = tuple(phases), tuple(seeds)
        self.state = stack_seeds([init(stream_key(seed, "init")) for seed in seeds])
        self.data = to_device(dataset.train)
        self._validation = None if dataset.validation is None else to_device(dataset.validation)
        self._sampler = sampler
        self._plain_sampler = Sampler(frame_stack=sampler.frame_stack)
        self._policy = jax.jit(lambda state, observations, seeds: act(state, observations, _noise(seeds, self.data)))
        self._finite = jax.jit(all_finite)
        self._metrics: Metrics = {}

    def enter(self, phase: OfflinePhase) -> bool:
        if phase.store is not None and self._load_stored(phase.store):
            return False
        self._block = build_block(phase.update, self._sampler, phase.batch_size, len(self.seeds))
        self._data_keys = stream_keys(self.seeds, f"data/{phase.name}")
        self._noise_keys = stream_keys(self.seeds, f"noise/{phase.name}")
        self._columns = self._prepare(phase, self.data, "train")
        self._validate = None
        if phase.validate is not None and self._validation is not None:
            self._validate = self._build_validation(phase)
        return True

    def advance(self, step: int, steps: int) -> None:
        self.state, self._metrics = self._block(
            self.state, self._columns, self._data_keys, self._noise_keys, self.data, step, steps
        )
        jax.block_until_ready(self._metrics)

    def metrics(self) -> list[dict[str, float]]:
        return _per_seed(self._metrics, len(self.seeds))

    def validation_metrics(self, step: int) -> list[dict[str, float]]:
        if self._validate is None:
            return [{} for _ in self.seeds]
        metrics = self._validate(self.state, self._validation_columns, self._validation_keys, self._validation, step)
        return _per_seed({f"validation/{name}": values for name, values in metrics.items()}, len(self.seeds))

    def leave(self, phase: OfflinePhase) -> None:
        if phase.store is not None:
            for i, seed in enumerate(self.seeds):
                phase.store.save(one_seed(self.state, i), seed)

    def is_finite(self) -> bool:
        return bool(self._finite(self.state))

    def policy(self, index: int) -> Policy:
        state = one_seed(self.state, index)
        return lambda observations, noise_seeds: np.asarray(self._policy(state, observations, noise_seeds))

    def state_arrays(self, index: int) -> dict[str, np.ndarray]:
        return to_arrays(one_seed(self.state, index))

    def load_state_arrays(self, states: Sequence[dict[str, np.ndarray]]) -> None:
        like = one_seed(self.state, 0)
        self.state = stack_seeds([from_arrays(like, arrays) for arrays in states])

    def _load_stored(self, store: PhaseStore) -> bool:
        stored = [store.load(one_seed(self.state, i), seed) for i, seed in enumerate(self.seeds)]
        if any(state is None for state in stored):
            return False
        self.state = stack_seeds(stored)
        return True

    def _prepare(self, phase: OfflinePhase, data: DeviceTransitions, name: str) -> Columns:
        return {} if phase.prepare is None else phase.prepare(self.state, data, name)

    def _build_validation(self, phase: OfflinePhase) -> Callable:
        self._validation_columns = self._prepare(phase, self._validation, "validation")
        self._validation_keys = stream_keys(self.seeds, f"validation/{phase.name}")

        def validate(state: Any, columns: Columns, key: Array, data: DeviceTransitions, step: Array) -> Metrics:
            data_key, noise_key = jax.random.split(jax.random.fold_in(key, step))
            batch = self._plain_sampler.sample(data, data_key, phase.batch_size, columns)
            return phase.validate(state, batch, noise_key)

        return jax.jit(over_seeds(validate, len(self.seeds), shared=2))


def _noise(noise_seeds: Array, data: DeviceTransitions) -> Array:
    """Standard normals [n, A], row i from noise_seeds[i] (two 32-bit words) alone."""
    keys = jax.random.wrap_key_data(noise_seeds)
    return jax.vmap(lambda key: jax.random.normal(key, data.actions.shape[1:]))(keys)


def _per_seed(metrics: Metrics, num_seeds: int) -> list[dict[str, float]]:
    host = {name: np.asarray(values) for name, values in metrics.items()}
    return [{name: float(values[i]) for name, values in host.items()} for i in range(num_seeds)]
