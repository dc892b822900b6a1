import numpy as np
import pytest
import torch
from torch import Tensor, nn

from offlow_core.torch.networks import init_uniform
from offlow_diffusion_ql.diffusion import Diffusion
from offlow_diffusion_ql.generative_policy import ChainNoise
from offlow_diffusion_ql.networks import PolicyNetwork
from offlow_diffusion_ql.schedules import make_schedule
from offlow_diffusion_ql.toy.gradient_modes import ChainPart, PartlyTrainedDiffusion, choose_part

T = 6


def settings(*, clips: bool = False) -> dict:
    return {
        "schedule": make_schedule("vp", T),
        "predict_epsilon": True,
        "clip_denoised": clips,
        "max_action": 1.0 if clips else 1e6,
        "device": torch.device("cpu"),
    }


def some_noise() -> ChainNoise:
    return ChainNoise.of(torch.randn(T, 3, 2, generator=torch.Generator().manual_seed(1)))


class StepWeights(nn.Module):
    """A network with a weight for each step, so that gradients tell which steps they come from."""

    def __init__(self) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.linspace(0.1, 0.2, T))

    def of_times(self, t: Tensor) -> Tensor:
        return self.weights[: len(t), None]

    def forward(self, x: Tensor, time: Tensor, states: Tensor) -> Tensor:
        return x * time + states


def trained_steps(part: ChainPart) -> list[int]:
    network, states = StepWeights(), torch.zeros(3, 2)
    actions = PartlyTrainedDiffusion(lambda: part, **settings()).sample(network, states, some_noise())
    gradient = torch.autograd.grad(actions.sum(), network.weights)[0]
    return gradient.nonzero().ravel().tolist()


def test_only_the_chosen_steps_have_a_gradient():
    assert trained_steps(ChainPart(T, range(T))) == [0, 1, 2, 3, 4, 5]
    assert trained_steps(ChainPart(T, range(2, 3))) == [2]
    assert trained_steps(ChainPart(5, range(1))) == [0]
    assert trained_steps(ChainPart(T, range(3))) == [0, 1, 2]


@pytest.fixture
def network() -> PolicyNetwork:
    made = PolicyNetwork(2, 2, 8, 4)
    init_uniform(made, torch.Generator().manual_seed(0))
    return made


def gradients(family: Diffusion, network: PolicyNetwork) -> tuple[Tensor, list[Tensor]]:
    actions = family.sample(network, network.of_states(torch.ones(3, 2)), some_noise())
    return actions.detach(), list(torch.autograd.grad(actions.square().sum(), list(network.parameters())))


@pytest.mark.parametrize("clips", [False, True])
def test_the_gradients_of_single_steps_add_up_to_that_of_the_whole_chain(network, clips):
    whole_actions, whole = gradients(Diffusion(**settings(clips=clips)), network)
    total = [torch.zeros_like(gradient) for gradient in whole]
    for t in range(T):
        part = ChainPart(T, range(t, t + 1))
        actions, single = gradients(PartlyTrainedDiffusion(lambda part=part: part, **settings(clips=clips)), network)
        torch.testing.assert_close(actions, whole_actions)
        total = [so_far + more for so_far, more in zip(total, single, strict=True)]
    assert all(gradient.abs().max() > 0 for gradient in whole)
    torch.testing.assert_close(total, whole, rtol=1e-3, atol=1e-5)
    assert all(parameter.requires_grad for parameter in network.parameters())


def drawn(mode: str, steps: int = 50) -> list[ChainPart]:
    random = np.random.default_rng(0)
    return [choose_part(mode, steps, random) for _ in range(1000)]


def test_modes_choose_the_published_steps():
    assert {part.length for part in drawn("t_middle")} == {50}
    assert {tuple(part.trained) for part in drawn("t_middle")} == {(t,) for t in range(10)}
    assert {part.length - 1 for part in drawn("t_last")} == set(range(40, 50))
    assert {tuple(part.trained) for part in drawn("t_last")} == {(0,)}
    assert set(drawn("last_few")) == {ChainPart(50, range(5))}
    assert set(drawn("whole_grad")) == {ChainPart(50, range(50))}


@pytest.mark.parametrize("mode", ["t_middle", "t_last", "last_few"])
@pytest.mark.parametrize("steps", [1, 2, 4])
def test_short_chains_keep_a_step_to_train(mode, steps):
    for part in drawn(mode, steps):
        assert 1 <= part.length <= steps
        assert part.trained
        assert set(part.trained) <= set(range(part.length))
