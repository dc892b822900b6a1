"""The one-step actor of Flow Q-learning: distilled from the behaviour flow, drawn to high values (Park et al. 2025)."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from offlow_core.jax.behaviour_flow import behaviour_parts
from offlow_core.jax.critics import Module, critic_values, encode, feature_dim, scaled_q_loss, with_encoder
from offlow_core.jax.encoders import Impala
from offlow_core.jax.flows import FlowCondition, flow_actions, flow_matching_loss
from offlow_core.jax.joint_noise import ActorNoise
from offlow_core.jax.networks import Array, apply_mlp, init_mlp


def init_one_step_actor(
    key: Array,
    encoder: Impala | None,
    observation_shape: tuple[int, ...],
    action_dim: int,
    *,
    hidden_dims: Sequence[int],
    layer_norm: bool,
) -> dict[str, Module]:
    """The module of a fresh actor mu(s, z)."""
    actor_key, encoder_key = jax.random.split(key)
    width = feature_dim(encoder, observation_shape) + action_dim
    actor = {"mlp": init_mlp(actor_key, width, hidden_dims, action_dim, layer_norm=layer_norm)}
    return {"actor_onestep_flow": with_encoder(actor, encoder, encoder_key, observation_shape)}


def one_step_actions(params: dict, encoder: Impala | None, observations: Array, z: Array) -> Array:
    """mu(s, z) [B, A], not clipped, for observations [B, ...] and noise [B, A]."""
    actor = params["actor_onestep_flow"]
    return apply_mlp(actor["mlp"], encode(encoder, actor, observations), z)


def distilled_actor_loss(
    params: dict,
    critic: tuple[Module, Array],
    batch: dict[str, Array],
    noise: ActorNoise,
    encoder: Impala | None,
    *,
    alpha: float,
    flow_steps: int,
    normalize_q_loss: bool,
    q_norm_epsilon: float,
) -> tuple[Array, dict[str, Array]]:
    """Flow matching + alpha * |a_1 - a_F|^2 - Q(s, clip a_1), `critic` being constant parameters and features.

    The flow learns from flow matching alone: its action a_F is a constant of the distillation.
    """
    flow_params, flow_features = behaviour_parts(params, encoder, batch["observations"])
    bc_flow_loss = flow_matching_loss(flow_params, flow_features, batch["actions"], noise.x0, noise.t)
    flow = FlowCondition(*jax.lax.stop_gradient((flow_params, flow_features)))
    flow_target = flow_actions(flow, noise.start, flow_steps)
    actions = one_step_actions(params, encoder, batch["observations"], noise.start)
    distill_loss = jnp.mean((actions - flow_target) ** 2)
    q = critic_values(*critic, jnp.clip(actions, -1, 1)).mean(0)
    q_loss = scaled_q_loss(q, normalize=normalize_q_loss, epsilon=q_norm_epsilon)
    loss = bc_flow_loss + alpha * distill_loss + q_loss
    parts = {"actor_actions": actions, "target_flow_actions": flow_target, "actor_loss": loss, "q": q.mean()}
    return loss, parts | {"bc_flow_loss": bc_flow_loss, "distill_loss": distill_loss, "q_loss": q_loss}


def one_step_metrics(parts: dict[str, Array]) -> dict[str, Array]:
    """Scalars for the log from the actor's loss."""
    return {f"actor/{name}": parts[name] for name in ("actor_loss", "bc_flow_loss", "distill_loss", "q_loss", "q")}
