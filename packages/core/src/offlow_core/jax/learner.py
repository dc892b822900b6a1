"""The JAX side of the training loop: phases of compiled blocks over device-resident data, seeds side by side."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from offlow_core.data.transitions import Dataset
from offlow_core.evaluation import Policy
from offlow_core.jax.acting import ActionRule, jitted_policy
from offlow_core.jax.device import describe_device
from offlow_core.jax.device_data import Sampler, to_device
from offlow_core.jax.networks import Array
from offlow_core.jax.online import OnlinePhase
from offlow_core.jax.phases import OfflinePhase, PhaseStore, Stage, Surroundings
from offlow_core.jax.seed_axis import one_seed, stack_seeds
from offlow_core.jax.state_arrays import all_finite, from_arrays, to_arrays
from offlow_core.jax.streams import stream_key
from offlow_core.jax.updates import Metrics
from offlow_core.training.saved_arrays import AGENT, STAGE, part_of


class JaxLearner:
    """Trains the seeds of one agent through its phases; see `Learner` for the verbs.

    `init(key)` makes a state; `explore` acts in online training, `evaluate` when the policy is judged.
    """

    def __init__(
        self,
        init: Callable[[Array], Any],
        explore: ActionRule,
        evaluate: ActionRule,
        phases: Sequence[OfflinePhase | OnlinePhase],
        dataset: Dataset,
        seeds: Sequence[int],
        sampler: Sampler,
    ):
        self.phases, self.seeds, self.device = tuple(phases), tuple(seeds), describe_device()
        self.state = stack_seeds([init(stream_key(seed, "init")) for seed in seeds])
        validation = None if dataset.validation is None else to_device(dataset.validation)
        self._around = Surroundings(self.seeds, to_device(dataset.train), validation, sampler, explore)
        self._policy = jitted_policy(evaluate)
        self._finite = jax.jit(all_finite)
        self._metrics: Metrics = {}
        self._stage: Stage | None = None
        self._phase = self.phases[0]
        self._saved_stage: list[dict[str, np.ndarray]] = [{} for _ in seeds]

    def enter(self, phase: OfflinePhase | OnlinePhase) -> bool:
        if phase.store is not None and self._load_stored(phase.store):
            return False
        stage = phase.open(self.state, self._around)
        self._stage, self._phase = stage, phase
        for i, saved in enumerate(self._saved_stage):
            arrays = part_of(saved, f"{phase.name}/")
            if arrays:
                stage.load_state_arrays(i, arrays)
        self._saved_stage = []
        return True

    def advance(self, step: int, steps: int) -> None:
        self.state, self._metrics = self._entered_stage.advance(self.state, step, steps)
        jax.block_until_ready(self._metrics)

    def metrics(self) -> list[dict[str, float]]:
        return _per_seed(self._metrics, len(self.seeds))

    def interval_means(self) -> list[dict[str, float]]:
        return [{} for _ in self.seeds]

    def validation_metrics(self, step: int) -> list[dict[str, float]]:
        return _per_seed(self._entered_stage.validation_metrics(self.state, step), len(self.seeds))

    def leave(self, phase: OfflinePhase | OnlinePhase) -> None:
        if phase.store is not None:
            for i, seed in enumerate(self.seeds):
                phase.store.save(one_seed(self.state, i), seed)

    def is_finite(self) -> bool:
        return bool(self._finite(self.state))

    def policy(self, index: int) -> Policy:
        state = one_seed(self.state, index)
        return lambda observations, noise_seeds: np.asarray(self._policy(state, observations, noise_seeds))

    def state_arrays(self, index: int) -> dict[str, np.ndarray]:
        agent = to_arrays(one_seed(self.state, index))
        # Before any phase is entered there is what was loaded: of a run, say, that has nothing left to do.
        if self._stage is None:
            stage = self._saved_stage[index]
        else:
            stage = {f"{self._phase.name}/{name}": v for name, v in self._stage.state_arrays(index).items()}
        return {AGENT + name: v for name, v in agent.items()} | {STAGE + name: v for name, v in stage.items()}

    def close(self) -> None:
        if self._stage is not None:
            self._stage.close()

    def load_state_arrays(self, states: Sequence[dict[str, np.ndarray]]) -> None:
        like = one_seed(self.state, 0)
        self.state = stack_seeds([from_arrays(like, part_of(arrays, AGENT)) for arrays in states])
        self._saved_stage = [part_of(arrays, STAGE) for arrays in states]
        names = {phase.name for phase in self.phases}
        unknown = sorted({name for saved in self._saved_stage for name in saved if name.partition("/")[0] not in names})
        if unknown:
            raise ValueError(f"the state has {unknown[0]} of none of the phases {sorted(names)}: another version's")

    @property
    def _entered_stage(self) -> Stage:
        if self._stage is None:
            raise ValueError("no phase has been entered")
        return self._stage

    def _load_stored(self, store: PhaseStore) -> bool:
        stored = [store.load(one_seed(self.state, i), seed) for i, seed in enumerate(self.seeds)]
        if any(state is None for state in stored):
            return False
        self.state = stack_seeds(stored)
        return True


def _per_seed(metrics: Metrics, num_seeds: int) -> list[dict[str, float]]:
    host = {name: np.asarray(values) for name, values in metrics.items()}
    return [{name: float(values[i]) for name, values in host.items()} for i in range(num_seeds)]
