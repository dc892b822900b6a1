"""Ways to act with a refined flow: one sample, the best of several, repeated refinement. All take batches."""

import jax.numpy as jnp

from offlow_core.jax.acting import ActionRule
from offlow_core.jax.behaviour_flow import behaviour_parts
from offlow_core.jax.critics import critic_values, encode
from offlow_core.jax.joint_training import JointState
from offlow_core.jax.networks import Array
from offlow_deflow.refined_agent import RefinedAgent
from offlow_deflow.refinement import base_actions, refined, refinement_features

SELECTIONS = ("plain", "max_q", "iterative")


def action_rule(agent: RefinedAgent, selection: str) -> ActionRule:
    """The rule of one `action_selection`."""
    config, action_dim = agent.config, agent.action_dim
    if selection == "max_q":
        return ActionRule(lambda state, s, z: best_sample(agent, state, s, z)[0], (config.num_samples, action_dim))
    if selection == "iterative":
        return ActionRule(lambda state, s, z: repeated_refinement(agent, state, s, z)[0], (action_dim,))
    return agent.one_sample


def best_sample(agent: RefinedAgent, state: JointState, observations: Array, z: Array) -> tuple[Array, Array, Array]:
    """Of the actions mu(s, z_i) for z [B, n, A] the one with the largest mean Q, refined.

    Actions [B, A], the values [B, n] of the unrefined candidates and the chosen index [B]. `upstream_argmin` takes the
    smallest value.
    """
    count, params = z.shape[1], state.params
    _, features = behaviour_parts(params, agent.encoder, observations)
    rows = jnp.repeat(features, count, axis=0)
    candidates = base_actions(params, rows, z.reshape(-1, z.shape[-1]), agent.config.flow_steps).reshape(z.shape)
    values = _mean_values(agent, params, observations, candidates)
    chosen = values.argmin(-1) if agent.config.upstream_argmin else values.argmax(-1)
    base = jnp.take_along_axis(candidates, chosen[:, None, None], axis=1).squeeze(1)
    return refined(params, refinement_features(params, agent.encoder, observations), base), values, chosen


def repeated_refinement(
    agent: RefinedAgent, state: JointState, observations: Array, z: Array
) -> tuple[Array, Array, Array, Array]:
    """Of c_0 = mu(s, z) and c_{i+1} = clip(c_i + f(s, c_i)) the one with the largest mean Q.

    Actions [B, A], all candidates [B, n + 1, A], their values [B, n + 1] and the chosen index [B].
    """
    params = state.params
    _, features = behaviour_parts(params, agent.encoder, observations)
    refine = refinement_features(params, agent.encoder, observations)
    path = [base_actions(params, features, z, agent.config.flow_steps)]
    for _ in range(agent.config.num_refine_steps):
        path.append(refined(params, refine, path[-1]))
    candidates = jnp.stack(path, axis=1)
    values = _mean_values(agent, params, observations, candidates)
    chosen = values.argmax(-1)
    actions = jnp.take_along_axis(candidates, chosen[:, None, None], axis=1).squeeze(1)
    return actions, candidates, values, chosen


def _mean_values(agent: RefinedAgent, params: dict, observations: Array, candidates: Array) -> Array:
    """Q averaged over members [B, n] of candidates [B, n, A]; of the distilled critic where the critic is a flow."""
    features = encode(agent.encoder, params["critic"], observations)
    return critic_values(params["critic"], features, candidates.swapaxes(0, 1)).mean(0).T
