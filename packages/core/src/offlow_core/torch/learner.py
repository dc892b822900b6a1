"""The PyTorch side of the training loop: agents that update themselves in place on device-resident data."""

from collections.abc import Callable, Hashable, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from offlow_core.data.transitions import Dataset
from offlow_core.evaluation import Policy
from offlow_core.option_checks import OptionError
from offlow_core.torch.device import describe
from offlow_core.torch.device_data import Batch, Sampler, to_device
from offlow_core.torch.state_arrays import load_arrays, to_arrays
from offlow_core.torch.streams import make_generator
from offlow_core.torch.updates import UpdateProgram
from offlow_core.training.learner import Phase
from offlow_core.training.saved_arrays import AGENT, STAGE, part_of

Metrics = dict[str, Tensor]
DrawBatch = Callable[[torch.Generator], Batch]


class TorchAgent(Protocol):
    """One seed of an algorithm. `update` and `losses` never wait for the device."""

    metric_names: Sequence[str]

    def prepare(self, updates: int) -> Hashable:
        """Set what depends on the number of updates made so far; which variant of `update` comes next."""
        ...

    def draw_noise(self, generator: torch.Generator) -> Any:
        """Fresh draws for one update."""
        ...

    def update(self, batch: Batch, noise: Any, variant: Hashable) -> Metrics:
        """One update in place; a scalar for each of `metric_names`."""
        ...

    def losses(self, batch: Batch, noise: Any) -> Metrics:
        """The losses without an update."""
        ...

    def state(self) -> dict[str, Tensor]:
        """Every tensor that training changes, by name."""
        ...

    def policy(self) -> Policy:
        """The policy of the moment, for evaluation."""
        ...


class TorchLearner:
    """Trains agents, one per seed, each on its own batches; see `Learner` for the verbs."""

    def __init__(
        self,
        agents: Sequence[TorchAgent],
        seeds: Sequence[int],
        phases: Sequence[Phase],
        dataset: Dataset,
        sampler: Sampler,
        *,
        batch_size: int,
        device: torch.device,
        record: bool,
    ):
        """`record`: whether updates become CUDA graphs."""
        self.phases, self.seeds, self.device = tuple(phases), tuple(seeds), describe(device)
        self._device, self._sampler, self._batch_size = device, sampler, batch_size
        train = to_device(dataset.train, device)
        self._validation = None if dataset.validation is None else to_device(dataset.validation, device)
        self._members = [
            _Member(agent, seed, lambda generator: sampler.sample(train, generator, batch_size), device, record=record)
            for agent, seed in zip(agents, seeds, strict=True)
        ]

    def enter(self, phase: Phase) -> bool:
        return True

    def advance(self, step: int, steps: int) -> None:
        for member in self._members:
            for updates in range(step, step + steps):
                member.advance(updates)
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)

    def metrics(self) -> list[dict[str, float]]:
        return [member.named(member.last) for member in self._members]

    def interval_means(self) -> list[dict[str, float]]:
        return [member.take_means() for member in self._members]

    def validation_metrics(self, step: int) -> list[dict[str, float]]:
        if self._validation is None:
            return [{} for _ in self.seeds]
        return [
            self._validate(member.agent, seed, step) for member, seed in zip(self._members, self.seeds, strict=True)
        ]

    def _validate(self, agent: TorchAgent, seed: int, step: int) -> dict[str, float]:
        generator = make_generator(seed, "validation", self._device, step)
        batch = self._sampler.sample(self._validation, generator, self._batch_size)
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
        return agent | {STAGE + name: array for name, array in member.stage_arrays().items()}

    def close(self) -> None:
        pass

    def load_state_arrays(self, states: Sequence[dict[str, np.ndarray]]) -> None:
        for member, arrays in zip(self._members, states, strict=True):
            load_arrays(member.agent.state(), part_of(arrays, AGENT))
            member.load_stage_arrays(part_of(arrays, STAGE))


class _Member:
    """One agent, its random streams, and its metrics, which stay on the device until somebody asks."""

    def __init__(self, agent: TorchAgent, seed: int, draw_batch: DrawBatch, device: torch.device, *, record: bool):
        self.agent, self._draw_batch = agent, draw_batch
        self._generators = {name: make_generator(seed, name, device) for name in ("data", "noise")}
        shape = len(agent.metric_names)
        self.last = torch.zeros(shape, device=device)
        self._sums = torch.zeros(shape, dtype=torch.float64, device=device)
        self._updates_summed = 0
        self._program = UpdateProgram(self._update, list(self._generators.values()), record=record)

    def advance(self, updates: int) -> None:
        self._program(self.agent.prepare(updates))
        self._updates_summed += 1

    def _update(self, variant: Hashable) -> None:
        batch = self._draw_batch(self._generators["data"])
        noise = self.agent.draw_noise(self._generators["noise"])
        metrics = self.agent.update(batch, noise, variant)
        torch.stack([metrics[name] for name in self.agent.metric_names], out=self.last)
        self._sums.add_(self.last)

    def named(self, values: Tensor) -> dict[str, float]:
        return dict(zip(self.agent.metric_names, values.tolist(), strict=True))

    def take_means(self) -> dict[str, float]:
        means = self.named(self._sums / self._updates_summed) if self._updates_summed else {}
        self._sums.zero_()
        self._updates_summed = 0
        return means

    def stage_arrays(self) -> dict[str, np.ndarray]:
        streams = {f"stream/{name}": g.get_state().numpy().copy() for name, g in self._generators.items()}
        sums = {"sums": self._sums.cpu().numpy().copy(), "updates_summed": np.asarray(self._updates_summed)}
        return streams | sums

    def load_stage_arrays(self, arrays: dict[str, np.ndarray]) -> None:
        for name, generator in self._generators.items():
            _set_state(generator, name, arrays[f"stream/{name}"])
        self._sums.copy_(torch.from_numpy(arrays["sums"]))
        self._updates_summed = int(arrays["updates_summed"])


def _set_state(generator: torch.Generator, name: str, state: np.ndarray) -> None:
    """Continue a stream; what a generator's state looks like depends on the kind of device."""
    expected = generator.get_state().numel()
    if state.shape != (expected,):
        raise OptionError(
            f"the random stream {name!r} was saved on another kind of device ({state.size} bytes, here {expected}): "
            "resume the run on the kind of --device that it was started on"
        )
    generator.set_state(torch.from_numpy(state.copy()))
