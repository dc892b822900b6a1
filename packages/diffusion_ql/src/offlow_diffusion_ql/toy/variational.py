"""A conditional variational autoencoder as policy, and BCQ's perturbation of it (Fujimoto et al., 2019)."""

import torch
from torch import Tensor, nn

from offlow_core.torch.device_data import Batch
from offlow_diffusion_ql.toy.bandit import ACTION_DIM, MAX_ACTION, STATE_DIM
from offlow_diffusion_ql.toy.learning import RewardCritic, Workbench

LATENT_DIM = 2 * ACTION_DIM
LOG_STD_BOUNDS = (-4.0, 15.0)
PRIOR_BOUND = 0.5
KL_WEIGHT = 0.5
PERTURBATION = 0.05


class Autoencoder(nn.Module):
    """Encoder (s, a) -> N(mean, std^2) of a latent z, and decoder (s, z) -> a before its tanh."""

    def __init__(self, bench: Workbench):
        super().__init__()
        self.encoder = bench.relu_mlp(STATE_DIM + ACTION_DIM, 2 * LATENT_DIM)
        self.decoder = bench.relu_mlp(STATE_DIM + LATENT_DIM, ACTION_DIM)

    def encode(self, states: Tensor, actions: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log std of the latent, [B, 4] each."""
        mean, log_std = self.encoder(torch.cat([states, actions], 1)).chunk(2, 1)
        return mean, log_std.clamp(*LOG_STD_BOUNDS)

    def decode(self, states: Tensor, latents: Tensor) -> Tensor:
        """States [..., S] and latents [..., 4] -> what `bounded` makes actions of, [..., A]."""
        return self.decoder(torch.cat([states, latents], -1))


class Variational:
    """The autoencoder, trained by imitation; samples are decoded from the middle of the prior."""

    def __init__(self, bench: Workbench):
        self._autoencoder = bench.learner(Autoencoder(bench), "init/autoencoder")
        self._noise = bench.generator("noise/autoencoder")

    def update(self, batch: Batch) -> Tensor:
        """One step on the reconstruction error and half the divergence from the prior."""
        network, states, actions = self._autoencoder.network, batch["observations"], batch["actions"]
        mean, log_std = network.encode(states, actions)
        latents = mean + log_std.exp() * torch.randn(mean.shape, generator=self._noise, device=mean.device)
        loss = autoencoder_loss(bounded(network.decode(states, latents)), actions, mean, log_std)
        self._autoencoder.step(loss)
        return loss.detach()

    @torch.no_grad()
    def sample(self, states: Tensor) -> Tensor:
        """[n, 2] -> [n, 2]"""
        return bounded(self.decode_prior(states))

    def decode_prior(self, states: Tensor) -> Tensor:
        """Actions before their tanh, [..., 2] -> [..., 2], of latents from the prior, clamped to +-0.5 as in BCQ."""
        shape = (*states.shape[:-1], LATENT_DIM)
        latents = torch.randn(shape, generator=self._noise, device=states.device)
        return self._autoencoder.network.decode(states, latents.clamp(-PRIOR_BOUND, PRIOR_BOUND))


class Perturbed:
    """BCQ: a network moves the autoencoder's actions a little, to where the first critic likes them better."""

    def __init__(self, bench: Workbench, critic: RewardCritic):
        self._imitation, self._critic = Variational(bench), critic
        self._perturbation = bench.learner(bench.relu_mlp(STATE_DIM + ACTION_DIM, ACTION_DIM), "init/perturbation")
        self._shows_imitation = bench.options.bcq_panel == "plain"

    def update(self, batch: Batch) -> Tensor:
        """One step of the autoencoder, the critics and the perturbation."""
        states = batch["observations"]
        loss = self._imitation.update(batch)
        self._critic.update(batch)
        actions = self.perturb(states, self._imitation.sample(states))
        self._perturbation.step(-self._critic(states, actions)[0].mean())
        return loss

    @torch.no_grad()
    def sample(self, states: Tensor) -> Tensor:
        """[n, 2] -> [n, 2]"""
        actions = self._imitation.sample(states)
        return actions if self._shows_imitation else self.perturb(states, actions)

    def perturb(self, states: Tensor, actions: Tensor) -> Tensor:
        """Each coordinate of the actions [n, 2] moved by at most 0.05, and not out of bounds."""
        offset = PERTURBATION * bounded(self._perturbation.network(torch.cat([states, actions], 1)))
        return (actions + offset).clamp(-MAX_ACTION, MAX_ACTION)


def autoencoder_loss(decoded: Tensor, actions: Tensor, mean: Tensor, log_std: Tensor) -> Tensor:
    """Mean squared error of the actions + 0.5 KL, KL = -1/2 mean(1 + log std^2 - mean^2 - std^2) over all elements."""
    divergence = -0.5 * (1 + 2 * log_std - mean.square() - (2 * log_std).exp()).mean()
    return (decoded - actions).square().mean() + KL_WEIGHT * divergence


def bounded(raw: Tensor) -> Tensor:
    """Actions within their bound."""
    return MAX_ACTION * torch.tanh(raw)
