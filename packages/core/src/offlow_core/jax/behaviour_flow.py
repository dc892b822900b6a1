"""The flow that clones the data's actions, as Flow Q-learning and its successors hold it (Park et al., ICML 2025).

Its velocity field is the module `actor_bc_flow`; its image encoder, if any, is a module beside it, so that an
observation is encoded once and not at every integration step.
"""

from collections.abc import Sequence

import jax

from offlow_core.jax.critics import feature_dim
from offlow_core.jax.encoders import Impala
from offlow_core.jax.flows import FlowCondition
from offlow_core.jax.networks import Array, init_mlp


def init_behaviour_flow(
    key: Array,
    encoder: Impala | None,
    observation_shape: tuple[int, ...],
    action_dim: int,
    *,
    hidden_dims: Sequence[int],
    layer_norm: bool,
) -> dict[str, dict]:
    """The modules of a fresh velocity field v(s, x, t)."""
    flow_key, encoder_key = jax.random.split(key)
    width = feature_dim(encoder, observation_shape) + action_dim + 1
    modules = {"actor_bc_flow": {"mlp": init_mlp(flow_key, width, hidden_dims, action_dim, layer_norm=layer_norm)}}
    if encoder is not None:
        modules["actor_bc_flow_encoder"] = encoder.init(encoder_key, observation_shape)
    return modules


def behaviour_parts(params: dict, encoder: Impala | None, observations: Array) -> tuple[dict, Array]:
    """Parameters of the velocity field and its features [B, d] of the observations."""
    features = observations if encoder is None else encoder.apply(params["actor_bc_flow_encoder"], observations)
    return params["actor_bc_flow"]["mlp"], features


def behaviour_condition(params: dict, encoder: Impala | None, observations: Array) -> FlowCondition:
    """The flow given observations [B, ...]."""
    return FlowCondition(*behaviour_parts(params, encoder, observations))
