"""The critics: an ensemble of batch-renormalised perceptrons, evaluated as one (CrossQ, arXiv 1902.05605)."""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from offlow_core.torch.networks import EnsembleLinear
from offlow_sacflow.normalisation import NoNorm, Statistics
from offlow_sacflow.scratch.batch_renorm import BatchRenorm
from offlow_sacflow.scratch.config import ScratchConfig


class CriticEnsemble(nn.Module):
    """Q(s, a) = norm, dense, relu, norm, dense, relu, norm, dense, of the concatenation [s; a]."""

    def __init__(self, observation_dim: int, action_dim: int, config: ScratchConfig):
        super().__init__()
        members, widths = config.n_critics, [observation_dim + action_dim, config.q_hidden, config.q_hidden, 1]
        self.layers = nn.ModuleList([EnsembleLinear(members, n, m) for n, m in pairwise(widths)])
        normalised = config.use_batch_norm
        norms = [BatchRenorm(width, config, members) if normalised else NoNorm() for width in widths[:-1]]
        self.norms = nn.ModuleList(norms)

    def forward(self, observations: Tensor, actions: Tensor, statistics: Statistics | None = None) -> Tensor:
        """[B, S], [B, A] -> values [members, B]."""
        x = torch.cat([observations, actions], -1)
        *hidden, last = zip(self.norms, self.layers, strict=True)
        for norm, layer in hidden:
            x = functional.relu(layer(norm(x, statistics)))
        norm, layer = last
        return layer(norm(x, statistics)).squeeze(-1)
