"""The PyTorch side of the training loop: agents that update themselves in place on device-resident data."""

from collections.abc import Sequence

import numpy as np
import torch

from offlow_core.data.transitions import Dataset
from offlow_core.evaluation import Policy
from offlow_core.torch.agent import Metrics, TorchAgent
from offlow_core.torch.chunk_sampler import ChunkSampler
from offlow_core.torch.device import describe
from offlow_core.torch.device_data import DeviceTransitions, Sampler, to_device
from offlow_core.torch.enough_data import require_enough
from offlow_core.torch.member import Member
from offlow_core.torch.online import OnlinePhase
from offlow_core.torch.state_arrays import load_arrays, to_arrays
from offlow_core.torch.streams import make_generator
from offlow_core.torch.training_data import training_data
from offlow_core.training.learner import Phase
from offlow_core.training.saved_arrays import AGENT, STAGE, part_of

__all__ = ["Metrics", "TorchAgent", "TorchLearner"]


class TorchLearner:
    """Trains agents, one per seed, each on its own batches; see `Learner` for the verbs."""

    def __init__(
        self,
        agents: Sequence[TorchAgent],
        seeds: Sequence[int],
        phases: Sequence[Phase],
        dataset: Dataset,
        sampler: Sampler | ChunkSampler,
        *,
        batch_size: int,
        device: torch.device,
        record: bool,
    ):
        """`record`: whether updates become CUDA graphs.

        DatasetError or OptionError where an update would have too few transitions to draw from.
        """
        self.phases, self.seeds, self.device = tuple(phases), tuple(seeds), describe(device)
        self._device, self._sampler, self._batch_size = device, sampler, batch_size
        last_update = max((p.last_step for p in phases if not isinstance(p, OnlinePhase)), default=0)
        require_enough(dataset, self.phases, sampler.least)  # before the data go to the device
        self._train = training_data(dataset, sampler, batch_size, device, last_update)
        self._validation = None if dataset.validation is None else to_device(dataset.validation, device)
        self._members = [
            Member(agent, seed, self._train.draw, device, record=record)
            for agent, seed in zip(agents, seeds, strict=True)
        ]
        self._phase, self._stages = self.phases[0], []
        self._saved_stages: list[dict[str, np.ndarray]] = [{} for _ in seeds]

    def enter(self, phase: Phase) -> bool:
        self._phase = phase
        if isinstance(phase, OnlinePhase):
            train = self._train.at(phase.first_step)
            for member, saved in zip(self._members, self._saved_stages, strict=True):
                self._stages.append(phase.open(member, train, self._sampler, self._batch_size))
                arrays = part_of(saved, f"{phase.name}/")
                if arrays:
                    self._stages[-1].load_state_arrays(arrays)
            # Every ring has a copy of its own, and held-out losses are no longer asked for.
            self._train.release()
            self._validation = None
        return True

    def advance(self, step: int, steps: int) -> None:
        stretches = [range(step, step + steps)] if self._stages else self._train.stretches(step, steps)
        for numbers in stretches:
            for one_seed in self._stages or self._members:
                for number in numbers:
                    one_seed.advance(number)
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)

    def metrics(self) -> list[dict[str, float]]:
        updates = [member.metrics() for member in self._members]
        online = [stage.metrics() for stage in self._stages] or [{} for _ in self._members]
        return [of_update | of_episode for of_update, of_episode in zip(updates, online, strict=True)]

    def interval_means(self) -> list[dict[str, float]]:
        return [member.take_means() for member in self._members]

    def validation_metrics(self, step: int) -> list[dict[str, float]]:
        held_out = self._validation
        if held_out is None:
            return [{} for _ in self.seeds]
        agents = [member.agent for member in self._members]
        return [self._validate(agent, held_out, seed, step) for agent, seed in zip(agents, self.seeds, strict=True)]

    def _validate(self, agent: TorchAgent, held_out: DeviceTransitions, seed: int, step: int) -> dict[str, float]:
        generator = make_generator(seed, "validation", self._device, step)
        batch = self._sampler.sample(held_out, generator, self._batch_size)
        losses = agent.losses(batch, agent.draw_noise(generator))
        return {f"validation/{name}": float(value) for name, value in losses.items()}

    def leave(self, phase: Phase) -> None:
        pass

    def is_finite(self) -> bool:
        tensors = [t for member in self._members for t in member.agent.state().values() if t.is_floating_point()]
        return bool(torch.stack([tensor.isfinite().all() for tensor in tensors]).all())

    def policy(self, index: int) -> Policy:
        return self._members[index].agent.policy()

    def state_arrays(self, index: int) -> dict[str, np.ndarray]:
        member = self._members[index]
        agent = {AGENT + name: array for name, array in to_arrays(member.agent.state()).items()}
        stage = member.state_arrays()
        if self._stages:
            online = self._stages[index].state_arrays()
            stage |= {f"{self._phase.name}/{name}": array for name, array in online.items()}
        else:
            stage |= self._saved_stages[index]
        return agent | {STAGE + name: array for name, array in stage.items()}

    def close(self) -> None:
        self._train.close()
        for stage in self._stages:
            stage.close()

    def load_state_arrays(self, states: Sequence[dict[str, np.ndarray]]) -> None:
        for member, arrays in zip(self._members, states, strict=True):
            load_arrays(member.agent.state(), part_of(arrays, AGENT))
            member.load_state_arrays(part_of(arrays, STAGE))
        online = [phase.name for phase in self.phases if isinstance(phase, OnlinePhase)]
        self._saved_stages = [
            {name: v for name, v in part_of(arrays, STAGE).items() if name.partition("/")[0] in online}
            for arrays in states
        ]
