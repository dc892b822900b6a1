"""Diffusion and flow policies on the toy problem: this package's own, with small networks."""

from typing import Literal

import numpy as np
import torch
from torch import Tensor

from offlow_core.random_streams import stream_seed
from offlow_core.torch.device_data import Batch
from offlow_diffusion_ql.cloning_agent import bc_loss
from offlow_diffusion_ql.config import DiffusionQlConfig
from offlow_diffusion_ql.families import make_family, make_policy_network
from offlow_diffusion_ql.generative_policy import ChainNoise, GenerativePolicy
from offlow_diffusion_ql.losses import UpdateNoise, actor_loss
from offlow_diffusion_ql.schedules import make_schedule
from offlow_diffusion_ql.toy.bandit import ACTION_DIM, MAX_ACTION, STATE_DIM
from offlow_diffusion_ql.toy.gradient_modes import PartlyTrainedDiffusion, choose_part
from offlow_diffusion_ql.toy.learning import RewardCritic, Workbench
from offlow_diffusion_ql.toy.options import ToyOptions

TIME_DIM = 4


class Denoising:
    """A policy that turns noise into actions step by step; with a critic, through whose chain its gradient runs."""

    def __init__(self, bench: Workbench, policy: Literal["diffusion", "flow"], critic: RewardCritic | None = None):
        self._config = toy_config(bench.options, policy)
        self.family = make_family(self._config, bench.device)
        self.policy = bench.learner(make_policy_network(self._config, STATE_DIM, ACTION_DIM), "init/policy")
        self._noise = bench.generator("noise")
        self._critic = critic
        self._trained_family = self.family
        if policy == "diffusion" and bench.options.mode != "whole_grad":
            self._trained_family = _partly_trained(bench)

    def update(self, batch: Batch) -> Tensor:
        """One step on the imitation loss, plus eta times the Q loss where there is a critic."""
        shape, network = batch["actions"].shape, self.policy.network
        cloning = self.family.draw_cloning_noise(self._noise, shape)
        if self._critic is None:
            loss = imitation = bc_loss(network, self.family, batch, cloning)
        else:
            self._critic.update(batch)
            chain = self._draw_chain(shape)
            # There are no next actions in a problem of one step.
            noise = UpdateNoise(ChainNoise.of(chain[:, :0]), cloning, ChainNoise.of(chain), self._critic.draw_head())
            loss, parts = actor_loss(network, self._critic, self._trained_family, batch, noise, self._config)
            imitation = parts["bc_loss"]
        self.policy.step(loss)
        return imitation.detach()

    @torch.no_grad()
    def sample(self, states: Tensor) -> Tensor:
        """[n, 2] -> [n, 2], always by the whole chain."""
        network, chain = self.policy.network, self._draw_chain(states.shape)
        return self.family.sample(network, network.of_states(states), ChainNoise.of(chain))

    def _draw_chain(self, shape: torch.Size) -> Tensor:
        return torch.randn(self.family.chain_draws, *shape, generator=self._noise, device=self._noise.device)


def toy_config(options: ToyOptions, policy: Literal["diffusion", "flow"]) -> DiffusionQlConfig:
    """What of the package's configuration the toy experiments use."""
    return DiffusionQlConfig(
        policy=policy,
        n_timesteps=options.T,
        max_action=MAX_ACTION,
        actor_hidden=options.hidden_dim,
        time_dim=TIME_DIM,
        eta=options.eta,
    )


def _partly_trained(bench: Workbench) -> GenerativePolicy:
    options = bench.options
    random = np.random.default_rng(stream_seed(options.seed, f"toy/{bench.name}/steps"))
    return PartlyTrainedDiffusion(
        lambda: choose_part(options.mode, options.T, random),
        schedule=make_schedule("vp", options.T),
        predict_epsilon=True,
        clip_denoised=True,
        max_action=MAX_ACTION,
        device=bench.device,
    )
