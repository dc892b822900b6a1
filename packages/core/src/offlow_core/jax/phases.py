"""What a JAX learner is doing at the moment: updates on the dataset, or updates between environment steps."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from offlow_core.jax.acting import ActionRule
from offlow_core.jax.batch_orders import BatchOrder
from offlow_core.jax.device_data import Batch, DeviceTransitions, Sampler
from offlow_core.jax.networks import Array
from offlow_core.jax.seed_axis import over_seeds
from offlow_core.jax.streams import stream_keys
from offlow_core.jax.updates import UNIFORM, Metrics, Update, build_block
from offlow_core.training.learner import Phase
from offlow_core.training.saved_arrays import part_of

Columns = dict[str, Array]
"""Further values per transition, [S, n]: what one phase derives from the data for the next."""

Validation = Callable[[Any, Batch, Array], Metrics]


@dataclass(frozen=True)
class Surroundings:
    """What every phase of a learner works with."""

    seeds: Sequence[int]
    train: DeviceTransitions
    validation: DeviceTransitions | None
    sampler: Sampler
    explore: ActionRule


class PhaseStore(Protocol):
    """Keeps what a finished phase produced, so that an equal run need not train it again."""

    def load(self, state: Any, seed: int) -> Any | None:
        """One seed's state with the stored part in place, or None if it is not stored."""
        ...

    def save(self, state: Any, seed: int) -> None:
        """Store the part of one seed's state."""
        ...


class Stage(Protocol):
    """A phase under way."""

    def advance(self, state: Any, step: int, steps: int) -> tuple[Any, Metrics]:
        """Updates number step + 1 to step + steps; the state is donated, the metrics are the last update's."""
        ...

    def validation_metrics(self, state: Any, step: int) -> Metrics:
        """Losses on held-out transitions; empty if there are none."""
        ...

    def close(self) -> None:
        """Give resources back."""
        ...

    def state_arrays(self, index: int) -> dict[str, np.ndarray]:
        """What one seed needs beside the agent's state to continue from here."""
        ...

    def load_state_arrays(self, index: int, arrays: dict[str, np.ndarray]) -> None:
        """Take that up again."""
        ...


@dataclass(frozen=True, kw_only=True)
class OfflinePhase(Phase):
    """A phase on the dataset.

    `prepare(state, data, name)` makes columns for the training set and, with another name, for the validation set,
    before the first update of the phase; `validate(state, batch, key)` gives losses without updating.
    """

    update: Update
    batch_size: int
    prepare: Callable[[Any, DeviceTransitions, str], Columns] | None = None
    validate: Validation | None = None
    store: PhaseStore | None = None
    order: BatchOrder = UNIFORM

    def open(self, state: Any, around: Surroundings) -> Stage:
        """Build the programs."""
        return _OfflineStage(self, around)


class _OfflineStage:
    def __init__(self, phase: OfflinePhase, around: Surroundings):
        seeds = around.seeds
        self._phase = phase
        self._block = build_block(phase.update, around.sampler, phase.batch_size, len(seeds), phase.order)
        self._keys = stream_keys(seeds, f"data/{phase.name}"), stream_keys(seeds, f"noise/{phase.name}")
        self._data = {"train": around.train}
        self._validate = None
        if phase.validate is not None and around.validation is not None:
            sampler = Sampler(frame_stack=around.sampler.frame_stack)
            self._validate = _validation_program(phase.validate, sampler, phase.batch_size, len(seeds))
            self._validation_keys = stream_keys(seeds, f"validation/{phase.name}")
            self._data["validation"] = around.validation
        self._columns: dict[str, Columns] = {}
        self._loaded: list[dict[str, np.ndarray]] = [{} for _ in seeds]

    def advance(self, state: Any, step: int, steps: int) -> tuple[Any, Metrics]:
        self._prepare(state)
        return self._block(state, self._columns["train"], *self._keys, self._data["train"], step, steps)

    def validation_metrics(self, state: Any, step: int) -> Metrics:
        if self._validate is None:
            return {}
        self._prepare(state)
        columns, data = self._columns["validation"], self._data["validation"]
        metrics = self._validate(state, columns, self._validation_keys, data, step)
        return {f"validation/{name}": values for name, values in metrics.items()}

    def close(self) -> None:
        pass

    def state_arrays(self, index: int) -> dict[str, np.ndarray]:
        """The columns, which can take longer to make again than to store."""
        return {
            f"{part}/{name}": np.asarray(values[index])
            for part, columns in self._columns.items()
            for name, values in columns.items()
        }

    def load_state_arrays(self, index: int, arrays: dict[str, np.ndarray]) -> None:
        self._loaded[index] = arrays

    def _prepare(self, state: Any) -> None:
        """Columns of all parts of the data, once: loaded if every seed brought them, else made."""
        if self._columns:
            return
        prepare = self._phase.prepare or (lambda state, data, name: {})
        columns = {}
        for part, data in self._data.items():
            loaded = [part_of(arrays, f"{part}/") for arrays in self._loaded]
            if all(loaded):
                columns[part] = jax.tree.map(lambda *values: jnp.stack(values), *loaded)
            else:
                columns[part] = prepare(state, data, part)
        self._columns = columns  # all or none: `prepare` may be broken off


def _validation_program(validate: Validation, sampler: Sampler, batch_size: int, num_seeds: int) -> Callable:
    def of_a_batch(state: Any, columns: Columns, key: Array, data: DeviceTransitions, step: Array) -> Metrics:
        data_key, noise_key = jax.random.split(jax.random.fold_in(key, step))
        batch = sampler.sample(data, data_key, batch_size, columns)
        return validate(state, batch, noise_key)

    return jax.jit(over_seeds(of_a_batch, num_seeds, shared=2))
