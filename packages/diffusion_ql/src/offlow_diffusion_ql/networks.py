"""The policy network of the paper and its critics."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from offlow_core.torch.activations import mish
from offlow_core.torch.networks import Mlp
from offlow_core.torch.time_features import time_features

HIDDEN_LAYERS = 3


class PolicyNetwork(nn.Module):
    """Predicts noise, action or velocity from (x, t, s): an MLP on their concatenation [x, time features, s].

    Its first layer is a sum of three products. What depends on the state alone or on the time alone is computed once
    for all steps of a chain, and once for all actions of a state.
    """

    def __init__(self, observation_dim: int, action_dim: int, hidden: int, time_dim: int):
        super().__init__()
        self.time = Mlp(time_dim, [2 * time_dim], time_dim, mish)
        self.body = Mlp(action_dim + time_dim + observation_dim, [hidden] * HIDDEN_LAYERS, action_dim, mish)
        self.action_dim = action_dim
        self._splits = [action_dim, time_dim, observation_dim]

    def of_states(self, observations: Tensor) -> Tensor:
        """The states' part of the first layer, with its bias, [B, S] -> [B, hidden]."""
        return functional.linear(observations, self._weights()[2], self.body.layers[0].bias)

    def of_times(self, t: Tensor) -> Tensor:
        """The times' part of the first layer, [n] -> [n, hidden]."""
        features = time_features(t, self._splits[1])
        return functional.linear(self.time(features), self._weights()[1])

    def forward(self, x: Tensor, times: Tensor, states: Tensor) -> Tensor:
        """[..., A] -> [..., A], given `of_times` and `of_states` in shapes that fit [..., hidden]."""
        return self.body.after_first(functional.linear(x, self._weights()[0]) + (times + states))

    def _weights(self) -> tuple[Tensor, ...]:
        return self.body.layers[0].weight.split(self._splits, 1)


class TwinCritic(nn.Module):
    """Two independent action values of (s, a), evaluated as one."""

    def __init__(self, observation_dim: int, action_dim: int, hidden: int):
        super().__init__()
        self.values = Mlp(observation_dim + action_dim, [hidden] * HIDDEN_LAYERS, 1, mish, members=2)
        self._splits = [observation_dim, action_dim]

    def forward(self, observations: Tensor, actions: Tensor) -> Tensor:
        """[B, S], [B, A] or [B, n, A] -> [2, B] or [2, B, n]; a state's part of the first layer is computed once."""
        if actions.dim() == 2:
            return self.values(torch.cat([observations, actions], 1)).squeeze(-1)
        batch, candidates, _ = actions.shape
        first = self.values.layers[0]
        of_states, of_actions = first.weight.split(self._splits, 1)
        states = torch.baddbmm(first.bias[:, None], observations.expand(2, -1, -1), of_states)
        hidden = torch.matmul(actions.flatten(0, 1), of_actions).unflatten(1, (batch, candidates))
        hidden = (hidden + states[:, :, None]).flatten(1, 2)
        return self.values.after_first(hidden).view(2, batch, candidates)
