"""Perceptrons and their ensembles against numbers worked out by hand and against separate networks."""

import math

import pytest
import torch
from torch import Tensor, nn

from offlow_core.torch.networks import (
    EnsembleLinear,
    Mlp,
    constant_view,
    init_lecun_normal,
    init_uniform,
    init_xavier_uniform,
)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def initialised(network: nn.Module, seed: int = 0) -> nn.Module:
    init_uniform(network, generator(seed))
    return network


def square(x: Tensor) -> Tensor:
    return x**2


@torch.no_grad()
def test_a_perceptron_by_hand():
    network = Mlp(2, (2,), 1, square)
    first, second = network.layers
    first.weight.copy_(torch.tensor([[1.0, 0.0], [0.0, 2.0]]))
    first.bias.copy_(torch.tensor([0.0, -1.0]))
    second.weight.copy_(torch.tensor([[3.0, 1.0]]))
    second.bias.fill_(0.5)
    # (1, 2) -> (1, 3) -> (1, 9) -> 3 + 9 + 0.5; the last layer is not activated
    assert network(torch.tensor([[1.0, 2.0], [0.0, 0.0]])).tolist() == [[12.5], [1.5]]


def test_after_first_is_what_remains():
    network = initialised(Mlp(3, (4, 5), 2, torch.tanh))
    x = torch.randn(6, 3, generator=generator())
    assert torch.equal(network.after_first(network.layers[0](x)), network(x))


def member(ensemble: EnsembleLinear, index: int) -> nn.Linear:
    """One of the maps as an ordinary layer."""
    inputs, outputs = ensemble.weight.shape[1:]
    layer = nn.Linear(inputs, outputs)
    with torch.no_grad():
        layer.weight.copy_(ensemble.weight[index].mT)
        layer.bias.copy_(ensemble.bias[index])
    return layer


def test_an_ensemble_layer_equals_separate_ones():
    ensemble = initialised(EnsembleLinear(3, 4, 2))
    shared, own = torch.randn(5, 4, generator=generator()), torch.randn(3, 5, 4, generator=generator(1))
    for i in range(3):
        layer = member(ensemble, i)
        torch.testing.assert_close(ensemble(shared)[i], layer(shared))
        torch.testing.assert_close(ensemble(own)[i], layer(own[i]))


def test_an_ensemble_of_perceptrons_equals_separate_ones_with_their_gradients():
    ensemble = initialised(Mlp(3, (4, 5), 2, torch.tanh, members=2))
    x = torch.randn(6, 3, generator=generator())
    values = ensemble(x)
    assert values.shape == (2, 6, 2)
    gradients = torch.autograd.grad(values.square().sum(), list(ensemble.parameters()))
    for i in range(2):
        single = Mlp(3, (4, 5), 2, torch.tanh)
        single.layers = nn.ModuleList([member(layer, i) for layer in ensemble.layers])
        torch.testing.assert_close(values[i], single(x))
        expected = torch.autograd.grad(single(x).square().sum(), list(single.parameters()))
        for found, reference in zip(gradients, expected, strict=True):
            torch.testing.assert_close(found[i], reference.mT if reference.dim() == 2 else reference)


@pytest.mark.parametrize("layer", [nn.Linear(100, 300), EnsembleLinear(2, 100, 300)])
def test_initial_numbers_fill_the_interval_given_by_the_inputs(layer):
    initialised(layer)
    bound = 1 / math.sqrt(100)
    for parameter, spread in ((layer.weight, 0.03), (layer.bias, 0.1)):
        assert parameter.abs().max() <= bound
        assert parameter.max() > 0.97 * bound
        assert parameter.min() < -0.97 * bound
        assert parameter.std().item() == pytest.approx(bound / math.sqrt(3), rel=spread)


def test_members_start_differently_and_reproducibly():
    first, again, other = (initialised(Mlp(3, (4,), 2, torch.tanh, members=2), seed) for seed in (0, 0, 1))
    for mine, same, different in zip(first.parameters(), again.parameters(), other.parameters(), strict=True):
        assert torch.equal(mine, same)
        assert (mine != different).all()
        assert (mine[0] != mine[1]).all()


def test_initialising_leaves_the_global_generator_alone():
    before = torch.get_rng_state()
    initialised(Mlp(3, (4,), 2, torch.tanh))
    initialised(Mlp(3, (4,), 2, torch.tanh, members=2))
    assert torch.equal(torch.get_rng_state(), before)


def test_normalised_perceptrons_by_hand():
    network = Mlp(1, (2,), 1, square, norm_eps=0.0)
    with torch.no_grad():
        first, second = network.layers
        first.weight.copy_(torch.tensor([[1.0], [2.0]]))
        second.weight.copy_(torch.tensor([[5.0, 1.0]]))
        for layer in network.layers:
            layer.bias.zero_()
        network.norms[0].weight.copy_(torch.tensor([3.0, 1.0]))
        network.norms[0].bias.copy_(torch.tensor([0.0, 10.0]))
    # 1 -> (1, 2) -> (1, 4), of mean 2.5 and deviation 1.5 -> (-1, 1) -> (-3, 11) -> -15 + 11
    assert network(torch.tensor([[1.0]])).tolist() == [[-4.0]]


def test_an_ensemble_of_normalised_perceptrons_equals_separate_ones():
    ensemble = initialised(Mlp(3, (4, 5), 2, torch.tanh, members=2, norm_eps=1e-6))
    with torch.no_grad():
        for parameter in ensemble.norms.parameters():
            parameter.normal_(generator=generator(2))
    x = torch.randn(6, 3, generator=generator())
    for i, values in enumerate(ensemble(x)):
        single = Mlp(3, (4, 5), 2, torch.tanh, norm_eps=1e-6)
        single.layers = nn.ModuleList([member(layer, i) for layer in ensemble.layers])
        for norm, stacked in zip(single.norms, ensemble.norms, strict=True):
            norm.load_state_dict({name: value[i] for name, value in stacked.state_dict().items()})
        torch.testing.assert_close(values, single(x))


@pytest.mark.parametrize("layer", [nn.Linear(100, 300), EnsembleLinear(2, 100, 300)])
@pytest.mark.parametrize(
    ("init", "bound", "std"),
    [
        (init_xavier_uniform, math.sqrt(6 / 400), math.sqrt(2 / 400)),
        (init_lecun_normal, 2 * 0.1 / 0.8796256610342398, 0.1),
    ],
)
def test_initial_weights_have_the_spread_of_their_scheme_and_biases_are_zero(layer, init, bound, std):
    init(layer, generator())
    assert not layer.bias.any()
    assert 0.97 * bound < layer.weight.abs().max() <= bound * (1 + 1e-6)
    assert layer.weight.std().item() == pytest.approx(std, rel=0.02)
    first = layer.weight.clone()
    init(layer, generator())
    assert torch.equal(layer.weight, first)


def test_a_constant_view_follows_its_network_and_has_no_gradient():
    network = initialised(Mlp(3, (4,), 2, torch.tanh, members=2, norm_eps=1e-6))
    view, x = constant_view(network), torch.randn(5, 3, generator=generator(), requires_grad=True)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(3).add_(1)
    assert torch.equal(view(x), network(x))
    assert not any(parameter.requires_grad for parameter in view.parameters())
    assert all(parameter.requires_grad for parameter in network.parameters())
    torch.testing.assert_close(*(torch.autograd.grad(net(x).sum(), x)[0] for net in (view, network)))
    counted = torch.nn.BatchNorm1d(3)
    view = constant_view(counted)
    counted(x)
    assert view.num_batches_tracked == 1
    assert torch.equal(view.eval()(x), counted.eval()(x))
