"""Batch renormalisation (arXiv 1702.03275), as CrossQ (arXiv 1902.05605) and the official SAC Flow have it."""

import torch
from torch import Tensor, nn

from offlow_sacflow.normalisation import MakeNorm, Moments, NoNorm, Statistics
from offlow_sacflow.scratch.config import ScratchConfig


class BatchRenorm(nn.Module):
    """Normalises every feature by the moments of the batch in train mode, by running ones in eval mode.

    Once the layer has been called `warmup_steps` times in train mode, the moments of the batch are corrected towards
    the running ones, within bounds: mean - d std / r and var / r^2, where r = batch std / running std, in
    [1/r_max, r_max], and d = (batch mean - running mean) / running std, in [-d_max, d_max], are constants for the
    gradient. As in the official code, epsilon is part of r, d and the division, but not of the corrected moments.

    `members` layers side by side have parameters and statistics of their own.
    """

    mean: Tensor
    var: Tensor
    steps: Tensor

    def __init__(self, features: int, config: ScratchConfig, members: int | None = None):
        super().__init__()
        lead = () if members is None else (members,)
        self.weight = nn.Parameter(torch.ones(*lead, features))
        self.bias = nn.Parameter(torch.zeros(*lead, features))
        self.register_buffer("mean", torch.zeros(*lead, features))
        self.register_buffer("var", torch.ones(*lead, features))
        # float32, so that target networks can average it; exact up to 2^24 calls, long after it has ceased to matter.
        self.register_buffer("steps", torch.zeros(lead))
        self._momentum, self._eps = config.batch_norm_momentum, config.batch_norm_eps
        self._r_max, self._d_max = config.batch_norm_r_max, config.batch_norm_d_max
        self._warmup_steps = config.batch_norm_warmup_steps

    def forward(self, x: Tensor, statistics: Statistics | None = None) -> Tensor:
        """[B, features], or [members, B, features] -> the same, or [members, B, features] where there are members."""
        if statistics is None:
            return self._normalised(x, self.mean, self.var)
        running = statistics.get(self, Moments(self.mean, self.var, self.steps))
        # Sums and a division of few numbers: the gradient of `mean` would divide a number per entry of the batch.
        mean, square = x.sum(-2) / x.shape[-2], x.square().sum(-2) / x.shape[-2]
        var = (square - mean.square()).clamp(min=0)
        statistics[self] = self._moved(running, mean, var)
        return self._normalised(x, *self._corrected(mean, var, running))

    def _normalised(self, x: Tensor, mean: Tensor, var: Tensor) -> Tensor:
        factor = torch.rsqrt(var + self._eps) * self.weight
        centred = x + mean.neg().unsqueeze(-2)  # so that few numbers are negated in the gradient
        return torch.addcmul(self.bias.unsqueeze(-2), centred, factor.unsqueeze(-2))

    @torch.no_grad()
    def _moved(self, running: Moments, mean: Tensor, var: Tensor) -> Moments:
        share = 1 - self._momentum
        return Moments(running.mean.lerp(mean, share), running.var.lerp(var, share), running.steps + 1)

    def _corrected(self, mean: Tensor, var: Tensor, running: Moments) -> tuple[Tensor, Tensor]:
        with torch.no_grad():
            running_std = (running.var + self._eps).sqrt()
            r = ((var + self._eps).sqrt() / running_std).clamp(1 / self._r_max, self._r_max)
            d = ((mean - running.mean) / running_std).clamp(-self._d_max, self._d_max)
            is_warm = (running.steps >= self._warmup_steps).unsqueeze(-1)  # chosen on the device: no host read
        # The root has an infinite slope at 0, where a constant feature is; times the 0 of the branch not taken: NaN.
        std = var.clamp(min=torch.finfo(var.dtype).tiny).sqrt()
        return torch.where(is_warm, mean - d * std / r, mean), torch.where(is_warm, var / r.square(), var)


@torch.no_grad()
def store(statistics: Statistics) -> None:
    """Give the layers the running statistics that a pass in train mode has left."""
    kept = [tensor for layer in statistics for tensor in (layer.mean, layer.var, layer.steps)]
    if kept:
        torch._foreach_copy_(kept, [tensor for moments in statistics.values() for tensor in moments])


def input_norm(config: ScratchConfig) -> MakeNorm:
    """What the inputs of a velocity network are normalised by."""
    return (lambda features: BatchRenorm(features, config)) if config.use_batch_norm else (lambda features: NoNorm())
