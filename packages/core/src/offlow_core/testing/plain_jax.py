"""What plainly written JAX agents share. State observations only; nothing is shared between calls, hoisted or merged.

Networks see concatenated inputs, divergences come from reverse-mode Jacobians of single samples, Euler loops are
written out, and one Adam serves a whole tree in which target networks have zero gradients.
"""

import math
from collections.abc import Callable
from typing import NamedTuple, cast

import jax
import jax.numpy as jnp
import optax

from offlow_core.jax.joint_noise import ActorNoise, JointNoise
from offlow_core.jax.networks import Array, Params, activate, depth

Batch = dict[str, Array]
Metrics = dict[str, Array]


class PlainState(NamedTuple):
    """The trained tree, target networks included, with one optimizer; `frozen` is read only; `key` feeds the draws."""

    params: dict
    optimizer: optax.OptState
    frozen: dict
    key: Array


def create(params: dict, targets: dict, frozen: dict, key: Array, lr: float) -> PlainState:
    """A state with these modules, trained and slow, and zero Adam moments."""
    tree = {**params, **targets}
    return PlainState(tree, optax.adam(lr).init(tree), frozen, key)


def draw_noise(key: Array, shape: tuple[int, ...]) -> tuple[Array, JointNoise]:
    """The next key and the draws [B, A] of one update, a key for each."""
    key, next_key, x0_key, t_key, start_key, mse_key = jax.random.split(key, 6)
    next_action, x0, start, mse = (jax.random.normal(k, shape) for k in (next_key, x0_key, start_key, mse_key))
    return key, JointNoise(next_action, x0, jax.random.uniform(t_key, (shape[0], 1)), start, mse)


def network(params: Params, *inputs: Array) -> Array:
    """A multi-layer perceptron of the concatenated inputs [..., d_i]."""
    x = jnp.concatenate(inputs, axis=-1)
    for i in range(depth(params)):
        dense = params[f"Dense_{i}"]
        x = x @ dense["kernel"] + dense["bias"]
        if i < depth(params) - 1:
            x = activate(params, i, x)
    return x


def values(critic: dict, observations: Array, actions: Array) -> Array:
    """Q [members, B]."""
    return jax.vmap(lambda member: network(member, observations, actions).squeeze(-1))(critic["value_net"])


def divergence(params: Params, observations: Array, x: Array, t: Array) -> Array:
    """Trace [B] of dv/dx, from one reverse-mode Jacobian per sample, which is a batch of one."""

    def of_sample(s: Array, x: Array, t: Array) -> Array:
        return jnp.trace(jax.jacrev(lambda x: network(params, s[None], x[None], t[None])[0])(x))

    return jax.vmap(of_sample)(observations, x, t)


def trace_estimate(params: Params, observations: Array, x: Array, t: Array, probes: Array) -> Array:
    """Hutchinson's estimate [B] of that trace with probes [B, P, A], from one pull-back per probe."""

    def of_sample(s: Array, x: Array, t: Array, probes: Array) -> Array:
        _, pull_back = jax.vjp(lambda x: network(params, s, x, t), x)
        return jax.vmap(lambda e: pull_back(e)[0] @ e)(probes).mean()

    return jax.vmap(of_sample)(observations, x, t, probes)


def log_density(params: Params, observations: Array, actions: Array, steps: int, probes: Array | None) -> Array:
    """log beta(a | s) [B] by reverse Euler; velocity and divergence are computed separately."""
    x, accumulated = actions, jnp.zeros(len(actions))
    for k in range(steps):
        t = jnp.full((len(x), 1), (steps - k) / steps)
        velocity = network(params, observations, x, t)
        if probes is None:
            accumulated = accumulated + divergence(params, observations, x, t) / steps
        else:
            accumulated = accumulated + trace_estimate(params, observations, x, t, probes[k]) / steps
        x = x - velocity / steps
    return -0.5 * jnp.sum(x**2, -1) - 0.5 * x.shape[-1] * math.log(2 * math.pi) - accumulated


def flow_actions(params: Params, observations: Array, z: Array, steps: int) -> Array:
    """Euler from noise to clipped actions [B, A]."""
    x = z
    for i in range(steps):
        t = jnp.full((len(x), 1), i / steps)
        x = x + network(params, observations, x, t) / steps
    return jnp.clip(x, -1, 1)


def critic_loss(
    params: dict, constant: dict, batch: Batch, next_actions: Array, *, discount: float, q_agg: str
) -> tuple[Array, Metrics]:
    """Mean squared Bellman error of all critics, with the target critics' values of the next actions [B, A]."""
    next_qs = values(constant["target_critic"], batch["next_observations"], next_actions)
    next_q = next_qs.min(0) if q_agg == "min" else next_qs.mean(0)
    target = batch["rewards"] + discount * batch["masks"] * next_q
    q = values(params["critic"], batch["observations"], batch["actions"])
    loss = jnp.mean((q - target) ** 2)
    metrics = {"critic_loss": loss, "q_mean": q.mean(), "q_max": q.max(), "q_min": q.min()}
    return loss, {f"critic/{name}": value for name, value in metrics.items()}


def q_loss(q: Array, *, normalize: bool) -> Array:
    """-mean Q, divided by the constant mean |Q| if asked."""
    return -q.mean() / jax.lax.stop_gradient(jnp.abs(q).mean()) if normalize else -q.mean()


def one_step_actor_loss(
    params: dict,
    constant: dict,
    batch: Batch,
    noise: ActorNoise,
    *,
    alpha: float,
    flow_steps: int,
    normalize: bool,
) -> tuple[Array, Metrics]:
    """The actor's loss of Flow Q-learning: cloning, distillation and value."""
    observations = batch["observations"]
    x_t = (1 - noise.t) * noise.x0 + noise.t * batch["actions"]
    velocity = network(params["actor_bc_flow"]["mlp"], observations, x_t, noise.t)
    bc_flow_loss = jnp.mean((velocity - (batch["actions"] - noise.x0)) ** 2)

    actions = network(params["actor_onestep_flow"]["mlp"], observations, noise.start)
    flow_target = flow_actions(constant["actor_bc_flow"]["mlp"], observations, noise.start, flow_steps)
    distill_loss = jnp.mean((actions - flow_target) ** 2)
    q = values(constant["critic"], observations, jnp.clip(actions, -1, 1)).mean(0)
    q_term = q_loss(q, normalize=normalize)

    loss = bc_flow_loss + alpha * distill_loss + q_term
    metrics = {
        "actor_loss": loss,
        "bc_flow_loss": bc_flow_loss,
        "distill_loss": distill_loss,
        "q_loss": q_term,
        "q": q.mean(),
    }
    return loss, {f"actor/{name}": value for name, value in metrics.items()}


def adam_step(
    loss: Callable[[dict], tuple[Array, Metrics]], state: PlainState, lr: float
) -> tuple[dict, optax.OptState, Metrics]:
    """New parameters and moments of the whole tree, and the loss's metrics with those of its gradients."""
    gradients, metrics = jax.grad(loss, has_aux=True)(state.params)
    updates, optimizer = optax.adam(lr).update(gradients, state.optimizer)
    leaves = jax.tree.leaves(gradients)
    metrics["grad/max"] = jnp.max(jnp.array([leaf.max() for leaf in leaves]))
    metrics["grad/min"] = jnp.min(jnp.array([leaf.min() for leaf in leaves]))
    metrics["grad/norm"] = jnp.sum(jnp.array([jnp.linalg.norm(leaf.reshape(-1)) for leaf in leaves]))
    return cast(dict, optax.apply_updates(state.params, updates)), optimizer, metrics


def follow(params: dict, target: str, source: dict, tau: float) -> dict:
    """The tree with the module `target` moved towards `source`."""
    return {**params, target: jax.tree.map(lambda new, old: tau * new + (1 - tau) * old, source, params[target])}
