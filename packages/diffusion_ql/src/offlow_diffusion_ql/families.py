"""From a configuration to the kind of policy it names."""

import torch

from offlow_diffusion_ql.config import DiffusionQlConfig
from offlow_diffusion_ql.diffusion import Diffusion
from offlow_diffusion_ql.flow import Flow
from offlow_diffusion_ql.generative_policy import GenerativePolicy
from offlow_diffusion_ql.networks import PolicyNetwork
from offlow_diffusion_ql.schedules import make_schedule


def make_family(config: DiffusionQlConfig, device: torch.device) -> GenerativePolicy:
    """The policies that the configuration describes, as functions of a network."""
    if config.policy == "flow":
        return Flow(config.n_timesteps, loss=config.flow_loss, max_action=config.max_action)
    return Diffusion(
        make_schedule(config.beta_schedule, config.n_timesteps),
        predict_epsilon=config.predict_epsilon,
        clip_denoised=config.clip_denoised,
        max_action=config.max_action,
        device=device,
    )


def make_policy_network(config: DiffusionQlConfig, observation_dim: int, action_dim: int) -> PolicyNetwork:
    """The network of the policy, not yet initialised."""
    return PolicyNetwork(observation_dim, action_dim, config.actor_hidden, config.time_dim)
