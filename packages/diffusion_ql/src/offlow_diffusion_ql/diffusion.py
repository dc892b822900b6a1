"""The diffusion policy: how it draws actions, and its imitation loss (Ho et al., 2020; arXiv 2208.06193, section 3)."""

from typing import NamedTuple

import torch
from torch import Tensor

from offlow_diffusion_ql.generative_policy import ChainNoise, CloningNoise
from offlow_diffusion_ql.networks import PolicyNetwork
from offlow_diffusion_ql.schedules import NoiseSchedule


class Diffusion:
    """Denoises in T steps, t = T - 1 to 0; the network predicts the noise or, if so configured, the action."""

    def __init__(
        self,
        schedule: NoiseSchedule,
        *,
        predict_epsilon: bool,
        clip_denoised: bool,
        max_action: float,
        device: torch.device,
    ):
        self.chain_draws = len(schedule)  # one to start from, one for each step but the last
        self._predicts_noise, self._clips, self._max_action = predict_epsilon, clip_denoised, max_action
        self._steps = _steps(schedule)
        self._signal = schedule.sqrt_alphas_cumprod.to(device)
        self._noise = schedule.sqrt_one_minus_alphas_cumprod.to(device)

    def sample(self, network: PolicyNetwork, states: Tensor, noise: ChainNoise) -> Tensor:
        """Actions [..., A] within +-max_action, for `network.of_states` in a shape that fits."""
        return self.bounded(self.chain(network, states, noise)[-1])

    def chain(self, network: PolicyNetwork, states: Tensor, noise: ChainNoise) -> list[Tensor]:
        """x_T, ..., x_0, T + 1 of [..., A]: the noise to start from, then what each step makes of it, not clamped."""
        start = noise.start
        times = network.of_times(torch.arange(len(self._steps), device=start.device, dtype=start.dtype))
        chain = [start]
        for i, t in enumerate(reversed(range(len(self._steps)))):
            output = network(chain[-1], times[t], states)
            chain.append(self.step(chain[-1], output, t, noise.steps[i] if t > 0 else None))
        return chain

    def step(self, x: Tensor, output: Tensor, t: int, draw: Tensor | None) -> Tensor:
        """From x_t [..., A] and the network's output to x_{t-1}; without a draw its mean."""
        step = self._steps[t]
        action = step.action_of_x * x - step.action_of_noise * output if self._predicts_noise else output
        if self._clips:
            action = self.bounded(action)
        mean = step.mean_of_action * action + step.mean_of_x * x
        return mean if draw is None else mean + step.std * draw

    def bounded(self, actions: Tensor) -> Tensor:
        """Actions clamped to +-max_action; the gradient is 0 beyond it."""
        return actions.clamp(-self._max_action, self._max_action)

    def cloning_loss(
        self, network: PolicyNetwork, observations: Tensor, actions: Tensor, noise: CloningNoise
    ) -> Tensor:
        """Mean squared error, over batch and dimensions, of the noise (or action) told from a noisy action.

        x_t = sqrt(alphas_cumprod_t) a + sqrt(1 - alphas_cumprod_t) noise; the paper sums over dimensions.
        """
        x = self._signal[noise.t, None] * actions + self._noise[noise.t, None] * noise.x
        output = network(x, network.of_times(noise.t.to(x.dtype)), network.of_states(observations))
        return (output - (noise.x if self._predicts_noise else actions)).square().mean()

    def draw_cloning_noise(self, generator: torch.Generator, shape: tuple[int, ...]) -> CloningNoise:
        """A uniform step and standard normal noise for each of a batch of actions [B, A]."""
        device = generator.device
        t = torch.randint(len(self._steps), shape[:1], generator=generator, device=device)
        return CloningNoise(t, torch.randn(shape, generator=generator, device=device))


class _Step(NamedTuple):
    """A step's coefficients as numbers: the same for all rows, they need no gather."""

    action_of_x: float
    action_of_noise: float
    mean_of_action: float
    mean_of_x: float
    std: float


def _steps(schedule: NoiseSchedule) -> list[_Step]:
    columns = (
        schedule.sqrt_recip_alphas_cumprod,
        schedule.sqrt_recipm1_alphas_cumprod,
        schedule.posterior_mean_of_action,
        schedule.posterior_mean_of_x,
        schedule.posterior_std,
    )
    return [_Step(*numbers) for numbers in zip(*(column.tolist() for column in columns), strict=True)]
