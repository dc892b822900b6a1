"""How DAC acts: several denoised candidates, of which the slow critics select one."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from offlow_core.jax.acting import ActionRule
from offlow_core.jax.networks import Array, Params
from offlow_dac.dac import Dac, DacState
from offlow_dac.guidance import EPSILON
from offlow_dac.losses import denoise
from offlow_dac.networks import Critic


class CandidateNoise(NamedTuple):
    """Draws for n observations and N candidates each: prior [n N, A], z [T, n N, A], Gumbel noise [n, N]."""

    prior: Array
    z: Array
    gumbel: Array


def selecting(agent: Dac, *, clip: bool = True) -> ActionRule:
    """The policy that explores and is evaluated; environments want its actions clipped to [-1, 1]."""
    config = agent.config
    count = config.num_action_samples

    def act(state: DacState, observations: Array, normals: Array) -> Array:
        n = len(observations)
        rows = jnp.moveaxis(normals, 2, 0).reshape(config.T + 2, n * count, agent.action_dim)
        prior = rows[0] if config.action_prior == "normal" else jnp.zeros_like(rows[0])
        uniform = jax.scipy.stats.norm.cdf(rows[-1][:, 0].reshape(n, count))
        gumbel = -jnp.log(-jnp.log(jnp.clip(uniform, EPSILON, 1 - EPSILON)))
        draws = CandidateNoise(prior, rows[1:-1], gumbel)
        actions, _ = select_actions(agent, state.actor, state.critic_target, state.eta, observations, draws)
        return jnp.clip(actions, -1, 1) if clip else actions

    # Per candidate: the prior, a draw for each denoising step, and one number for the selection.
    return ActionRule(act, (count, config.T + 2, agent.action_dim))


def select_actions(
    agent: Dac, actor: dict, critic_target: Params, eta: Array, observations: Array, noise: CandidateNoise
) -> tuple[Array, dict[str, Array]]:
    """One action [n, A] per observation, not clipped, with all candidates, their mean values and the choice."""
    count = agent.config.num_action_samples
    candidates = denoise(
        actor,
        critic_target,
        eta,
        observations,
        noise.prior,
        noise.z,
        agent.config,
        agent.schedule,
        repeats=count,
    ).reshape(len(observations), count, -1)
    values = Critic(critic_target, observations).values(candidates).mean(0)
    chosen = jnp.argmax(_logits(values, agent.config, noise.gumbel), axis=-1)
    actions = jnp.take_along_axis(candidates, chosen[:, None, None], axis=1).squeeze(1)
    return actions, {"all_actions": candidates, "q_mean": values, "selected_index": chosen}


def _logits(values: Array, config, gumbel: Array) -> Array:
    """What the choice is the largest of: the values, or with a temperature a draw from their softmax."""
    if config.temperature == 0:
        return values
    if config.upstream_softmax:
        return values / (jnp.abs(values) + EPSILON) / (config.temperature + EPSILON) + gumbel
    size = jnp.abs(values).mean(-1, keepdims=True)
    return values / (size + EPSILON) / config.temperature + gumbel
