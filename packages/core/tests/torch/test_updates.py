"""Repeated updates: called as they are, or recorded as CUDA graphs, with the same results."""

import pytest
import torch
from torch import Tensor, nn

from offlow_core.torch.optimizers import ClippedAdam
from offlow_core.torch.updates import WARM_UP_UPDATES, UpdateProgram

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


class Regression:
    """Fits a linear map to noisy targets; the variant is the sign of the targets. Counts the calls that reach Python.

    `total` sums the losses on the device, `drawn` keeps the last noise.
    """

    def __init__(self, device: str):
        start = torch.linspace(-1, 1, 6, device=device).reshape(2, 3)
        self.weight = nn.Parameter(start.clone())
        self.adam = ClippedAdam([self.weight], 1e-2, 1.0)
        self.generator = torch.Generator(device).manual_seed(0)
        self.total, self.drawn = torch.zeros((), device=device), torch.zeros(4, 3, device=device)
        self.calls: list[int] = []

    def update(self, variant: int) -> None:
        self.calls.append(variant)
        rows = torch.randint(5, (4,), generator=self.generator, device=self.weight.device)
        noise = torch.randn(4, 3, generator=self.generator, device=self.weight.device)
        inputs = torch.eye(5, 2, device=self.weight.device).index_select(0, rows)
        loss = (inputs @ self.weight - variant - noise).square().mean()
        self.adam.step(torch.autograd.grad(loss, [self.weight]))
        self.drawn.copy_(noise)
        self.total.add_(loss.detach())

    def program(self, *, record: bool) -> UpdateProgram:
        return UpdateProgram(self.update, [self.generator], record=record)

    def tensors(self) -> dict[str, Tensor]:
        return {"weight": self.weight.detach(), "total": self.total, "drawn": self.drawn, **self.adam.state()}


def test_without_recording_every_call_is_an_update_of_its_variant():
    regression = Regression("cpu")
    program = regression.program(record=False)
    variants = [1, -1, *[1] * (WARM_UP_UPDATES + 3)]
    for variant in variants:
        program(variant)
    assert regression.calls == variants
    assert regression.adam.state()["0/step"] == len(variants)


@needs_gpu
def test_replayed_updates_equal_ordinary_ones():
    ordinary, recorded = Regression("cuda"), Regression("cuda")
    plain, replayed = ordinary.program(record=False), recorded.program(record=True)
    for step in range(30):
        variant = 1 if step % 3 else -1
        for regression, program in ((ordinary, plain), (recorded, replayed)):
            regression.adam.set_lr(1e-2 / (1 + step))  # must reach the updates that are already recorded
            program(variant)
        # A replay draws what a call would have drawn, and leaves the generator where the call would have.
        assert torch.equal(recorded.drawn, ordinary.drawn), step
        assert torch.equal(recorded.generator.get_state(), ordinary.generator.get_state()), step
        torch.testing.assert_close(recorded.tensors(), ordinary.tensors(), rtol=1e-5, atol=1e-6)
    # Each variant is called a few times and once more for its recording, then no longer.
    assert [recorded.calls.count(variant) for variant in (1, -1)] == [WARM_UP_UPDATES + 1] * 2


@needs_gpu
def test_a_generator_that_is_set_back_repeats_its_replays():
    regression = Regression("cuda")
    program = regression.program(record=True)
    for _ in range(WARM_UP_UPDATES + 1):
        program(1)
    saved = regression.generator.get_state()
    draws = []
    for _ in range(2):
        regression.generator.set_state(saved)
        program(1)
        draws.append(regression.drawn.tolist())
    assert draws[0] == draws[1]
    program(1)
    assert regression.drawn.tolist() != draws[0]


@needs_gpu
@pytest.mark.filterwarnings("ignore:Synchronization debug mode is a prototype")
@pytest.mark.parametrize("record", [False, True])
def test_updates_wait_for_nothing(record):
    regression = Regression("cuda")
    program = regression.program(record=record)
    for _ in range(WARM_UP_UPDATES + 1):
        program(1)
    before = torch.cuda.get_sync_debug_mode()
    torch.cuda.set_sync_debug_mode("error")
    try:
        for step in range(3):
            regression.adam.set_lr(1e-3 * step)
            program(1)
        with pytest.raises(RuntimeError, match="synchronizing"):
            regression.total.item()  # the watch works
    finally:
        torch.cuda.set_sync_debug_mode(before)
