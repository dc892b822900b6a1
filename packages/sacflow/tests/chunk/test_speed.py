"""What makes updates fast: nothing waits for the device, and compiled losses are the same losses."""

import functools
import shutil

import numpy as np
import pytest
import torch
from chunk_agents import TWO_UPDATES, make_agent, make_transitions

from offlow_core.data.transitions import Dataset
from offlow_core.torch.chunk_sampler import ChunkSampler
from offlow_core.torch.host_reads import no_host_reads
from offlow_core.torch.learner import TorchLearner
from offlow_core.training.learner import Phase

GPU = pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU"))
VARIANTS = {
    "acfql": ("acfql", {}),
    "best of n": ("acfql", {"actor_type": "best-of-n", "use_fourier_features": True, "weight_decay": 0.01}),
    "naive": ("chunk_naive", {"q_agg": "min"}),
    "flow_t": ("chunk_flow_t", {"transformer_n_layers": 1, "denoising_steps": 2}),
    "flow_g": ("chunk_flow_g", {"rollout_noise": "fixed"}),
    "without chunks": ("chunk_flow_g", {"action_chunking": False, "autotune_alpha": False}),
}


def make_learner(variant: str, device: str = "cpu", *, compiled: bool = False, record: bool = False) -> TorchLearner:
    kind, changes = VARIANTS[variant]
    place = torch.device(device)
    agent = make_agent(kind, device=place, compiled=compiled, **changes)
    sampler = ChunkSampler(agent.config.horizon_length, agent.config.discount)
    more = {"batch_size": agent.config.batch_size, "device": place, "record": record}
    return TorchLearner(
        [agent], [0], [Phase("offline", 0, 100)], Dataset(make_transitions(), None, {}), sampler, **more
    )


def train_in_both_stages(learner: TorchLearner) -> None:
    agent = learner._members[0].agent
    learner.advance(0, 3)
    if agent.config.agent_name in TWO_UPDATES:
        agent.begin_online()
    learner.advance(3, 4)


@pytest.mark.filterwarnings("ignore:Synchronization debug mode is a prototype:UserWarning")
@pytest.mark.parametrize("device", ["cpu", GPU])
@pytest.mark.parametrize("variant", VARIANTS)
def test_updates_read_nothing_on_the_host(variant, device):
    learner = make_learner(variant, device)
    with no_host_reads():
        train_in_both_stages(learner)
    if device == "cuda":
        torch.cuda.set_sync_debug_mode("error")
        try:
            learner._members[0].advance(8)
        finally:
            torch.cuda.set_sync_debug_mode("default")


def assert_same_training(variant: str, device: str = "cpu", **other: bool) -> None:
    plain, fast = make_learner(variant, device), make_learner(variant, device, **other)
    for learner in (plain, fast):
        train_in_both_stages(learner)
    for name, array in plain.state_arrays(0).items():
        found = fast.state_arrays(0)[name]
        if array.dtype.kind == "f":
            np.testing.assert_allclose(found, array, rtol=1e-3, atol=1e-5, err_msg=name)
        else:
            assert (found == array).all(), name


@pytest.mark.filterwarnings("ignore:`torch.jit.script_method` is deprecated:DeprecationWarning")  # PyTorch's own use
@pytest.mark.parametrize("variant", ["best of n", "flow_t"])
def test_traced_losses_train_the_same_and_are_traced_once(variant, monkeypatch):
    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend="aot_eager"))
    torch._dynamo.reset()
    with torch._dynamo.config.patch(error_on_recompile=True):
        assert_same_training(variant, compiled=True)


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("c++"), reason="compiles C++")
@pytest.mark.filterwarnings("ignore:`torch.jit.script_method` is deprecated:DeprecationWarning")  # PyTorch's own use
@pytest.mark.parametrize("variant", ["acfql", "best of n", "naive", "flow_t", "flow_g"])
def test_compiled_losses_train_the_same(variant):
    torch._dynamo.reset()
    with torch._dynamo.config.patch(error_on_recompile=True):
        assert_same_training(variant, compiled=True)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("variant", VARIANTS)
def test_recorded_updates_train_the_same(variant, compiled):
    torch._dynamo.reset()
    assert_same_training(variant, "cuda", compiled=compiled, record=True)
