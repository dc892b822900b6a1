"""DeFlow's actor: a cloned flow, and a refinement of its actions within a trust region (arXiv 2601.10471).

pi(s; z) = clip(b + f(s, b)), b = mu(s, z) being the flow's clipped action. The flow learns from cloning alone, the
refinement from values and from the penalty on its size, the multiplier of that penalty from the size alone.
"""

import jax
import jax.numpy as jnp

from offlow_core.jax.behaviour_flow import behaviour_parts, init_behaviour_flow
from offlow_core.jax.critics import Module, critic_values, encode, feature_dim, scaled_q_loss, with_encoder
from offlow_core.jax.device_data import Batch
from offlow_core.jax.encoders import Impala
from offlow_core.jax.flows import FlowCondition, flow_actions, velocity_on_path
from offlow_core.jax.joint_noise import ActorNoise
from offlow_core.jax.networks import Array, apply_mlp, init_mlp
from offlow_deflow.config import RefinementConfig

Intermediates = dict[str, Array]


def init_actor(
    key: Array, encoder: Impala | None, observation_shape: tuple[int, ...], action_dim: int, config: RefinementConfig
) -> dict[str, Module]:
    """Fresh flow, refinement and multiplier. The refinement does not start at zero."""
    flow_key, refinement_key, encoder_key = jax.random.split(key, 3)
    hidden_dims, layer_norm = config.actor_hidden_dims, config.actor_layer_norm
    sizes = (encoder, observation_shape, action_dim)
    modules = init_behaviour_flow(flow_key, *sizes, hidden_dims=hidden_dims, layer_norm=layer_norm)
    width = feature_dim(encoder, observation_shape) + action_dim
    refine = {"mlp": init_mlp(refinement_key, width, hidden_dims, action_dim, layer_norm=layer_norm)}
    modules["refine_onestep_flow"] = with_encoder(refine, encoder, encoder_key, observation_shape)
    if config.use_lagrange:
        modules["log_alpha"] = {"value": jnp.full(1, config.initial_log_alpha, jnp.float32)}
    return modules


def refinement_features(params: dict, encoder: Impala | None, observations: Array) -> Array:
    """What the refinement sees [B, d] of observations."""
    return encode(encoder, params["refine_onestep_flow"], observations)


def refinement(params: dict, features: Array, actions: Array) -> Array:
    """f(s, a) [..., A], to be added to actions [..., A]."""
    return apply_mlp(params["refine_onestep_flow"]["mlp"], features, actions)


def refined(params: dict, features: Array, actions: Array) -> Array:
    """clip(a + f(s, a)) [..., A]."""
    return jnp.clip(actions + refinement(params, features, actions), -1, 1)


def base_actions(params: dict, features: Array, z: Array, steps: int) -> Array:
    """mu(s, z) [B, A]: the cloned flow's clipped actions for its features [B, d] and noise [B, A], as constants."""
    flow = jax.lax.stop_gradient((params["actor_bc_flow"]["mlp"], features))
    return flow_actions(FlowCondition(*flow), z, steps)


def policy_actions(params: dict, encoder: Impala | None, observations: Array, z: Array, steps: int) -> Array:
    """pi(s; z) [B, A]."""
    _, features = behaviour_parts(params, encoder, observations)
    base = base_actions(params, features, z, steps)
    return refined(params, refinement_features(params, encoder, observations), base)


def actor_loss(
    params: dict,
    flow_features: Array,
    critic: tuple[Module, Array],
    batch: Batch,
    base: Array,
    noise: ActorNoise,
    config: RefinementConfig,
    encoder: Impala | None,
    *,
    cloning: Array | bool,
) -> tuple[Array, Intermediates]:
    """L_BC + alpha D - Q(s, clip(b + f(s, b))) - lambda (D - delta), D the mean squared refinement per dimension.

    `critic` is its constant parameters and features of s, `base` the constant actions b [B, A], lambda = log alpha.
    Without `cloning` L_BC is the constant 0.
    """
    flow = params["actor_bc_flow"]["mlp"]
    velocity = velocity_on_path(flow, flow_features, batch["actions"], noise.x0, noise.t)
    bc_flow_loss = jnp.where(cloning, jnp.mean((velocity - (batch["actions"] - noise.x0)) ** 2), 0.0)
    step = refinement(params, refinement_features(params, encoder, batch["observations"]), base)
    divergence = jnp.mean(step**2)
    actions = jnp.clip(base + step, -1, 1)
    qs = critic_values(*critic, actions)
    q_loss = scaled_q_loss(qs.mean(0), normalize=config.normalize_q_loss, epsilon=config.q_norm_epsilon)
    penalty, alpha_loss, alpha = trust_region(params, divergence, config)
    loss = bc_flow_loss + penalty + q_loss + alpha_loss
    scalars = {"actor_loss": loss, "bc_flow_loss": bc_flow_loss, "distill_loss": divergence, "q_loss": q_loss}
    scalars |= {"q": qs.mean(), "alpha_loss": alpha_loss, "alpha_value": alpha}
    arrays = {"bc_pred": velocity, "base_actions": base, "refinement": step, "actor_actions": actions, "actor_qs": qs}
    return loss, {**{f"actor/{name}": value for name, value in scalars.items()}, **arrays}


def trust_region(params: dict, divergence: Array, config: RefinementConfig) -> tuple[Array, Array, Array]:
    """Penalty on D, loss of the multiplier and the multiplier.

    The multiplier's loss multiplies its logarithm, so that it moves by about one step size per update whatever it is.
    """
    if not config.use_lagrange:
        # The official code multiplies by its fixed weight in two places.
        alpha = jnp.asarray(config.alpha)
        return divergence * (alpha**2 if config.squared_fixed_alpha else alpha), jnp.zeros(()), alpha
    log_alpha = params["log_alpha"]["value"][0]
    alpha = jnp.exp(log_alpha)
    alpha_loss = -log_alpha * (jax.lax.stop_gradient(divergence) - config.allowed_divergence)
    return jax.lax.stop_gradient(alpha) * divergence, alpha_loss, alpha


def actor_metrics(parts: Intermediates) -> dict[str, Array]:
    """Scalars for the log."""
    return {name: value for name, value in parts.items() if name.startswith("actor/")}
