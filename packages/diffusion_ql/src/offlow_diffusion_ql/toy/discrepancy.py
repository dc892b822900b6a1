"""A policy kept close to the data by its kernel distance from an autoencoder's actions (BEAR; Kumar et al., 2019)."""

import torch
from torch import Tensor, nn

from offlow_core.torch.device_data import Batch
from offlow_core.torch.optimizers import ClippedAdam
from offlow_diffusion_ql.losses import normalised_q_loss
from offlow_diffusion_ql.toy.bandit import ACTION_DIM, STATE_DIM
from offlow_diffusion_ql.toy.learning import RewardCritic, Workbench
from offlow_diffusion_ql.toy.variational import Variational, bounded

KERNEL_WIDTH = 20.0
SAMPLES = 10
NOISE_BOUND = 0.5
Q_WEIGHT = 1.0  # whatever the option eta says, in the official code too
THRESHOLD = 0.05
MULTIPLIER_LR = 1e-3
LOG_MULTIPLIER_BOUNDS = (-5.0, 10.0)


class Discrepancy:
    """A squashed Gaussian that imitates by matching an autoencoder's distribution."""

    def __init__(self, bench: Workbench):
        self._autoencoder = Variational(bench)
        self.policy = bench.learner(bench.relu_mlp(STATE_DIM, 2 * ACTION_DIM), "init/policy")
        self._noise = bench.generator("noise")

    def update(self, batch: Batch) -> Tensor:
        """One step of the autoencoder, then one of the policy towards it; the distance."""
        loss = self.distance_after_update(batch)
        self.policy.step(loss)
        return loss.detach()

    def distance_after_update(self, batch: Batch) -> Tensor:
        """Mean over states of the distance of 10 actions from 10 of the autoencoder, just updated."""
        self._autoencoder.update(batch)
        states = batch["observations"][:, None]
        with torch.no_grad():
            imitated = self._autoencoder.decode_prior(states.expand(-1, SAMPLES, -1))
        # Both before tanh, and from the middle of their noise, as in BEAR.
        own = self._draw(states, samples=SAMPLES, bound=NOISE_BOUND)
        return laplacian_distance(imitated, own).mean()

    @torch.no_grad()
    def sample(self, states: Tensor) -> Tensor:
        """[n, 2] -> [n, 2]"""
        return self.act(states)

    def act(self, states: Tensor) -> Tensor:
        """Actions [n, 2] with their gradient."""
        return bounded(self._draw(states[:, None])[:, 0])

    def _draw(self, states: Tensor, samples: int = 1, bound: float = torch.inf) -> Tensor:
        """Actions before their tanh, [n, 1, 2] -> [n, samples, 2]."""
        mean, log_std = self.policy.network(states).chunk(2, -1)
        noise = torch.randn(len(states), samples, ACTION_DIM, generator=self._noise, device=mean.device)
        return mean + log_std.exp() * noise.clamp(-bound, bound)


class DiscrepancyConstrained:
    """BEAR: climbs the critics while the distance is below a threshold, by a Lagrange multiplier e^lambda."""

    def __init__(self, bench: Workbench, critic: RewardCritic):
        self._imitation, self._critic = Discrepancy(bench), critic
        start = torch.randn((), generator=bench.generator("init/multiplier", torch.device("cpu")))
        self.log_multiplier = nn.Parameter(start.to(bench.device))
        self._ascent = ClippedAdam([self.log_multiplier], MULTIPLIER_LR)

    def update(self, batch: Batch) -> Tensor:
        """One step of the autoencoder, the critics, the policy and the multiplier; the distance."""
        states = batch["observations"]
        self._critic.update(batch)
        distance = self._imitation.distance_after_update(batch)
        values = self._critic(states, self._imitation.act(states))
        q_loss = normalised_q_loss(values, self._critic.draw_head())
        self._imitation.policy.step(self.log_multiplier.detach().exp() * distance + Q_WEIGHT * q_loss)
        self.raise_multiplier(distance.detach())
        return distance.detach()

    def sample(self, states: Tensor) -> Tensor:
        """[n, 2] -> [n, 2]"""
        return self._imitation.sample(states)

    def raise_multiplier(self, distance: Tensor) -> None:
        """One ascent step on e^lambda (distance - threshold), which lowers lambda below the threshold."""
        gradient = -self.log_multiplier.detach().exp() * (distance - THRESHOLD)
        self._ascent.step([gradient])
        with torch.no_grad():
            self.log_multiplier.clamp_(*LOG_MULTIPLIER_BOUNDS)


def laplacian_distance(x: Tensor, y: Tensor) -> Tensor:
    """Maximum mean discrepancy of two samples per state, [B, n, A] and [B, m, A] -> [B].

    sqrt(mean k(x, x') + mean k(y, y') - 2 mean k(x, y) + 1e-6), k = exp(-|difference|_1 / (2 * 20)).
    """

    def mean_kernel(a: Tensor, b: Tensor) -> Tensor:
        return (torch.cdist(a, b, p=1) / (-2 * KERNEL_WIDTH)).exp().mean((1, 2))

    return (mean_kernel(x, x) + mean_kernel(y, y) - 2 * mean_kernel(x, y) + 1e-6).sqrt()
