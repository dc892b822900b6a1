"""One seed under training: its agent, its random streams, the batches it learns from, and its metrics."""

from collections.abc import Callable, Hashable

import numpy as np
import torch
from torch import Tensor

from offlow_core.option_checks import OptionError
from offlow_core.torch.agent import TorchAgent
from offlow_core.torch.device_data import Batch
from offlow_core.torch.streams import make_generator
from offlow_core.torch.updates import UpdateProgram

DrawBatch = Callable[[torch.Generator], Batch]


class Member:
    """Updates one agent on batches that `draw_batch` draws; metrics stay on the device until somebody asks."""

    def __init__(self, agent: TorchAgent, seed: int, draw_batch: DrawBatch, device: torch.device, *, record: bool):
        self.agent, self.seed, self._record = agent, seed, record
        self._generators = {name: make_generator(seed, name, device) for name in ("data", "noise")}
        shape = len(agent.metric_names)
        self.last = torch.zeros(shape, device=device)
        self._sums = torch.zeros(shape, dtype=torch.float64, device=device)
        self._updates_summed = 0
        self.draw_from(draw_batch)

    def draw_from(self, draw_batch: DrawBatch) -> None:
        """A phase begins whose batches come from elsewhere; until its first update there are no metrics."""
        self._draw_batch = draw_batch
        # No state holds the last metrics: a run that goes on here has none, and one that was not stopped must agree.
        self._has_updated = False
        self._program = UpdateProgram(self._update, list(self._generators.values()), record=self._record)

    def advance(self, updates: int) -> None:
        """The update after `updates` others."""
        self._has_updated = True
        self._program(self.agent.prepare(updates))
        self._updates_summed += 1

    def _update(self, variant: Hashable) -> None:
        batch = self._draw_batch(self._generators["data"])
        noise = self.agent.draw_noise(self._generators["noise"])
        metrics = self.agent.update(batch, noise, variant)
        torch.stack([metrics[name] for name in self.agent.metric_names], out=self.last)
        self._sums.add_(self.last)

    def metrics(self) -> dict[str, float]:
        """Of the last update; empty before the first of a phase."""
        return self._named(self.last) if self._has_updated else {}

    def _named(self, values: Tensor) -> dict[str, float]:
        return dict(zip(self.agent.metric_names, values.tolist(), strict=True))

    def take_means(self) -> dict[str, float]:
        """Means over the updates since the last call."""
        means = self._named(self._sums / self._updates_summed) if self._updates_summed else {}
        self._sums.zero_()
        self._updates_summed = 0
        return means

    def state_arrays(self) -> dict[str, np.ndarray]:
        """What continuing needs beside the agent's state."""
        streams = {f"stream/{name}": g.get_state().numpy().copy() for name, g in self._generators.items()}
        sums = {"sums": self._sums.cpu().numpy().copy(), "updates_summed": np.asarray(self._updates_summed)}
        return streams | sums

    def load_state_arrays(self, arrays: dict[str, np.ndarray]) -> None:
        """Take that up again."""
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
