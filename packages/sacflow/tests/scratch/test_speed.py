"""What makes updates fast: nothing waits for the device, and compiled losses are the same losses."""

import functools
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from scratch_agents import ACTIONS, KINDS, OBSERVATIONS, make_agent, unsettle
from torch import Tensor

from offlow_core.data.transitions import Dataset
from offlow_core.testing.toy_task import make_dataset
from offlow_core.torch.device_data import Sampler
from offlow_core.torch.host_reads import no_host_reads
from offlow_core.torch.learner import TorchLearner
from offlow_core.training.learner import Phase
from offlow_sacflow.normalisation import Statistics

GPU = pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU"))
VARIANTS = {kind: (kind, {}) for kind in KINDS} | {
    "targets": ("naive", {"crossq_style": False, "tau": 0.1}),
    "fixed alpha": ("flow_g", {"autotune": False}),
    "exact and frozen": ("flow_t", {"path_logprob": "exact", "freeze_null_params": True}),
    "without norms": ("flow_t", {"use_batch_norm": False}),
}


def make_learner(variant: str, device: str = "cpu", *, compiled: bool = False, record: bool = False) -> TorchLearner:
    """A learner of one agent whose layers end their warm-up while it learns."""
    kind, changes = VARIANTS[variant]
    place = torch.device(device)
    changes = {"batch_norm_warmup_steps": 4, "denoising_steps": 2} | changes
    agent = unsettle(make_agent(kind, device=place, compiled=compiled, **changes))
    more = {"batch_size": agent.config.batch_size, "device": place, "record": record}
    return TorchLearner([agent], [0], [Phase("offline", 0, 100)], make_data(), Sampler(), **more)


def make_data() -> Dataset:
    train = make_dataset(shape=(OBSERVATIONS,)).train
    actions = np.random.default_rng(0).uniform(-1, 1, (len(train), ACTIONS)).astype(np.float32)
    return Dataset(replace(train, actions=actions), None, {})


@pytest.mark.filterwarnings("ignore:Synchronization debug mode is a prototype:UserWarning")
@pytest.mark.parametrize("device", ["cpu", GPU])
@pytest.mark.parametrize("variant", VARIANTS)
def test_updates_read_nothing_on_the_host(variant, device):
    learner = make_learner(variant, device)
    learner.advance(0, 3)
    with no_host_reads():
        learner.advance(3, 4)
    if device == "cuda":
        torch.cuda.set_sync_debug_mode("error")
        try:
            learner._members[0].advance(8)
        finally:
            torch.cuda.set_sync_debug_mode("default")


def assert_same_losses(variant: str, device: str = "cpu") -> None:
    """Values, gradients and statistics of a compiled agent and of a plain one, before and after the warm-up.

    Not their training: elements whose gradient is rounding noise make full steps of Adam, each in its own direction.
    """
    plain, compiled = make_learner(variant, device), make_learner(variant, device, compiled=True)
    generator = torch.Generator(device).manual_seed(0)
    mine, theirs = compiled._members[0].agent, plain._members[0].agent
    for step in range(0, 9, 3):
        compiled.load_state_arrays([plain.state_arrays(0)])
        batch, noise = plain._members[0]._draw_batch(generator), theirs.draw_noise(generator)
        for name in ("critic", "actor"):
            found, expected = (
                getattr(agent, f"{name}_gradients")(batch, getattr(noise, name)) for agent in (mine, theirs)
            )
            assert_close(list(found[0]), list(expected[0]))
            assert_close(list(found[1].values()), [expected[1][part] for part in found[1]])
            assert_close(statistics_of(found[2]), statistics_of(expected[2]))
        plain.advance(step, 3)


def statistics_of(statistics: Statistics) -> list[Tensor]:
    return [tensor for moments in statistics.values() for tensor in moments]


def assert_close(found: list[Tensor], expected: list[Tensor]) -> None:
    """The same up to rounding, in relation to the largest: the tolerance of the recorded gradients."""
    largest = max(tensor.abs().max().item() for tensor in expected)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4 * max(largest, 1))


@pytest.mark.filterwarnings("ignore:`torch.jit.script_method` is deprecated:DeprecationWarning")  # PyTorch's own use
@pytest.mark.parametrize(
    "variant", ["targets", *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("flow_t", "flow_g"))]
)
def test_traced_losses_are_the_same_and_are_traced_once(variant, monkeypatch):
    compile_ = torch.compile
    monkeypatch.setattr(torch, "compile", functools.partial(compile_, backend="aot_eager"))
    torch._dynamo.reset()
    with torch._dynamo.config.patch(error_on_recompile=True):
        assert_same_losses(variant)


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("c++"), reason="compiles C++")
@pytest.mark.filterwarnings("ignore:`torch.jit.script_method` is deprecated:DeprecationWarning")  # PyTorch's own use
@pytest.mark.parametrize("variant", ["flow_t", "flow_g", "naive"])
def test_compiled_losses_are_the_same(variant):
    torch._dynamo.reset()
    assert_same_losses(variant)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("variant", VARIANTS)
def test_recorded_updates_train_the_same(variant, compiled):
    torch._dynamo.reset()
    called, recorded = (make_learner(variant, "cuda", compiled=compiled, record=record) for record in (False, True))
    for learner in (called, recorded):
        learner.advance(0, 24)
    for name, array in called.state_arrays(0).items():
        if array.dtype.kind == "f":
            found = recorded.state_arrays(0)[name]
            np.testing.assert_allclose(found, array, rtol=1e-4, atol=1e-5, err_msg=name)
