"""What makes updates fast: nothing waits for the device, and compiled losses are the same losses."""

import functools
import shutil

import numpy as np
import pytest
import torch

from offlow_core.data.transitions import Dataset, Transitions
from offlow_core.torch.device_data import Sampler
from offlow_core.torch.host_reads import no_host_reads
from offlow_core.torch.learner import TorchLearner
from offlow_core.training.learner import Phase
from offlow_diffusion_ql.config import DiffusionQlConfig
from offlow_diffusion_ql.learner import make_agent

KINDS = {
    "diffusion": {},
    "max-Q": {"max_q_backup": True, "max_q_repeats": 3},
    "flow": {"policy": "flow"},
    "flow of the fork": {"policy": "flow", "flow_q_gradient": "none"},
    "flow cloning": {"policy": "flow", "algo": "bc"},
    "cloning": {"algo": "bc"},
    "decaying": {"lr_decay": True, "lr_decay_unit": "epoch", "steps_per_epoch": 1, "grad_norm": 0.0},
}
GPU = pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU"))
SMALL = {"actor_hidden": 8, "critic_hidden": 8, "n_timesteps": 3, "batch_size": 4, "step_start_ema": 2}


def make_learner(changes: dict, device: str = "cpu", *, compiled: bool = False, record: bool = False) -> TorchLearner:
    generator = torch.Generator().manual_seed(0)
    states = torch.randn(21, 3, generator=generator).numpy()
    actions = torch.rand(20, 2, generator=generator).numpy()
    ends = torch.arange(20).numpy() % 10 == 9
    train = Transitions.from_arrays(states[:-1], actions, actions[:, 0], 1 - ends, ends, states[1:])
    config, place = DiffusionQlConfig(**(SMALL | changes)), torch.device(device)
    agent = make_agent(config, (3,), 2, seed=0, device=place, compiled=compiled)
    options = {"batch_size": config.batch_size, "device": place, "record": record}
    return TorchLearner([agent], [0], [Phase("offline", 0, 100)], Dataset(train, None, {}), Sampler(), **options)


@pytest.mark.filterwarnings("ignore:Synchronization debug mode is a prototype:UserWarning")
@pytest.mark.parametrize("device", ["cpu", GPU])
@pytest.mark.parametrize("kind", KINDS)
def test_updates_read_nothing_on_the_host(kind, device):
    learner = make_learner(KINDS[kind], device)
    learner.advance(0, 3)
    with no_host_reads():
        learner.advance(3, 4)
    if device == "cuda":
        torch.cuda.set_sync_debug_mode("error")
        try:
            learner._members[0].advance(7)
        finally:
            torch.cuda.set_sync_debug_mode("default")


def assert_same_training(changes: dict, device: str = "cpu", **other: bool) -> None:
    plain, fast = make_learner(changes, device), make_learner(changes, device, **other)
    for learner in (plain, fast):
        learner.advance(0, 12)
    for name, array in plain.state_arrays(0).items():
        if array.dtype.kind == "f":
            np.testing.assert_allclose(fast.state_arrays(0)[name], array, rtol=1e-4, atol=1e-5, err_msg=name)
        else:
            assert (fast.state_arrays(0)[name] == array).all(), name


@pytest.mark.filterwarnings("ignore:`torch.jit.script_method` is deprecated:DeprecationWarning")  # PyTorch's own use
@pytest.mark.parametrize("kind", ["max-Q", "flow"])
def test_traced_losses_train_the_same_and_are_traced_once(kind, monkeypatch):
    compile_ = torch.compile
    monkeypatch.setattr(torch, "compile", functools.partial(compile_, backend="aot_eager"))
    torch._dynamo.reset()
    with torch._dynamo.config.patch(error_on_recompile=True):
        assert_same_training(KINDS[kind], compiled=True)


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("c++"), reason="compiles C++")
@pytest.mark.filterwarnings("ignore:`torch.jit.script_method` is deprecated:DeprecationWarning")  # PyTorch's own use
@pytest.mark.parametrize("kind", ["max-Q", "flow"])
def test_compiled_losses_train_the_same(kind):
    torch._dynamo.reset()
    assert_same_training(KINDS[kind], compiled=True)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_recorded_updates_train_the_same(kind, compiled):
    torch._dynamo.reset()
    assert_same_training(KINDS[kind], "cuda", compiled=compiled, record=True)
