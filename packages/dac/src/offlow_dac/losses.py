"""DAC's two losses (Fang et al., ICLR 2025, arXiv 2405.20555) as pure functions; all random draws are arguments.

Trainable parameters come first, everything else is frozen. Means over the batch go through `batch_mean`: the last batch
of a pass over the data is short, and is filled up with rows of weight 0.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from offlow_core.jax.device_data import Batch
from offlow_core.jax.networks import Array, Params
from offlow_dac.config import DacConfig
from offlow_dac.guidance import EPSILON, action_gradient, guided
from offlow_dac.networks import Critic, NoiseNetwork
from offlow_dac.samplers import ddim, ddpm
from offlow_dac.schedules import NoiseSchedule

Intermediates = dict[str, Array]


class CriticNoise(NamedTuple):
    """Draws for the Bellman target: prior [B N, A], z [T, B N, A], and uniforms [H, B] for `rand_convex`, else None."""

    prior: Array
    z: Array
    ensemble_uniform: Array | None


class ActorNoise(NamedTuple):
    """Draws of the actor's loss: steps t [B] in 1 .. T, eps [B, A]; prior [B, A] and z [T, B, A] for `denoised`."""

    t: Array
    eps: Array
    prior: Array | None
    z: Array | None
    dropout_key: Array | None


def batch_mean(values: Array, batch: Batch, axis: int = 0) -> Array:
    """Mean over all axes, the rows of the batch, which run along `axis`, by their weights [B]."""
    weights = batch["weights"]
    shape = [1] * values.ndim
    shape[axis] = len(weights)
    return jnp.sum(values * weights.reshape(shape)) / (weights.sum() * (values.size // len(weights)))


def denoise(
    actor: dict,
    critic_target: Params,
    eta: Array,
    observations: Array,
    prior: Array,
    z: Array,
    config: DacConfig,
    schedule: NoiseSchedule,
    *,
    repeats: int = 1,
) -> Array:
    """Actions [B N, A] by the configured sampler for observations [B, S], each `repeats` = N times in a row."""
    noise = NoiseNetwork(actor, config, observations).repeated(repeats).noise
    if config.sampler == "ddim":
        return ddim(
            noise, schedule, prior, clip=config.clip_sampler, steps=config.ddim_step, upstream=config.upstream_ddim
        )
    if config.sampler == "ddpm_qg":
        critic = Critic(critic_target, jnp.repeat(observations, repeats, axis=0))
        noise = guided(noise, critic, eta, jnp.asarray(schedule.alpha_hats))
    return ddpm(noise, schedule, prior, z, clip=config.clip_sampler)


def ensemble_target(values: Array, config: DacConfig, uniforms: Array | None) -> Array:
    """One value [B] of the members' [H, B]."""
    if config.q_tar == "lcb":
        return values.mean(0) - config.rho * values.std(0)
    if config.q_tar == "min":
        return values.min(0)
    if config.q_tar == "convex":
        return config.rho * values.min(0) + (1 - config.rho) * values.max(0)
    if uniforms is None:
        raise ValueError(f"q_tar {config.q_tar} weights the critics at random: pass uniform draws [H, B]")
    return jnp.sum(uniforms / (uniforms.sum(0) + EPSILON) * values, 0)


def critic_loss(
    critic: Params,
    critic_target: Params,
    actor_target: dict,
    eta: Array,
    batch: Batch,
    noise: CriticNoise,
    config: DacConfig,
    schedule: NoiseSchedule,
) -> tuple[Array, Intermediates]:
    """mean (Q_h(s, a) - r - discount * mask * v(s'))^2, the same target for all members."""
    target, parts = batch["rewards"], {}
    if config.discount > 0:
        next_v, parts = next_value(
            critic_target, actor_target, eta, batch["next_observations"], noise, config, schedule
        )
        target = target + config.discount * batch["masks"] * next_v
    q = Critic(critic, batch["observations"]).values(batch["actions"])
    loss = batch_mean((q - target) ** 2, batch, axis=1)
    scalars = {"critic_loss": loss, "qs": batch_mean(q, batch, axis=1), "qs_std": batch_mean(q.std(0), batch)}
    return loss, {**scalars, **parts}


def next_value(
    critic_target: Params,
    actor_target: dict,
    eta: Array,
    next_observations: Array,
    noise: CriticNoise,
    config: DacConfig,
    schedule: NoiseSchedule,
) -> tuple[Array, Intermediates]:
    """v(s') [B] by the slow critics at actions of the slow actor."""
    samples = config.num_q_samples
    actions = denoise(
        actor_target,
        critic_target,
        eta,
        next_observations,
        noise.prior,
        noise.z,
        config,
        schedule,
        repeats=samples,
    )
    per_state = actions.reshape(len(next_observations), samples, -1)
    qs = Critic(critic_target, next_observations).values(per_state)
    value = ensemble_target(qs.max(-1) if config.maxQ else qs.mean(-1), config, noise.ensemble_uniform)
    return value, {"next_actions": actions, "next_q_all": qs}


def actor_loss(
    actor: dict,
    critic_target: Params,
    eta: Array,
    batch: Batch,
    noise: ActorNoise,
    config: DacConfig,
    schedule: NoiseSchedule,
) -> tuple[Array, Intermediates]:
    """eta * mean (e - eps)^2 + guidance, e being the predicted noise of x_t."""
    hats = jnp.asarray(schedule.alpha_hats)[noise.t][:, None]
    x = jnp.sqrt(hats) * batch["actions"] + jnp.sqrt(1 - hats) * noise.eps
    network = NoiseNetwork(actor, config, batch["observations"])
    e = network.noise(x, noise.t, noise.dropout_key)
    bc_loss = batch_mean((e - noise.eps) ** 2, batch)
    critic = Critic(critic_target, batch["observations"])
    q_norm = batch_mean(jnp.abs(critic.values(batch["actions"])), batch, axis=1)
    gradient = action_gradient(critic, x) / (q_norm + EPSILON)
    guidance = _guidance_loss(network, critic, gradient, q_norm, e, hats, batch, noise, config, schedule)
    loss = eta * bc_loss + guidance
    scalars = {"actor_loss": loss, "bc_loss": bc_loss, "guidance_loss": guidance, "eta": eta, "Q_norm": q_norm}
    scalars |= {"Q_grad": batch_mean(gradient, batch), "Q_grad_abs": batch_mean(jnp.abs(gradient), batch)}
    return loss, {**scalars, "noisy_actions": x, "pred_eps": e, "Q_grad_full": gradient}


def _guidance_loss(
    network: NoiseNetwork,
    critic: Critic,
    gradient: Array,
    q_norm: Array,
    e: Array,
    hats: Array,
    batch: Batch,
    noise: ActorNoise,
    config: DacConfig,
    schedule: NoiseSchedule,
) -> Array:
    """soft: mean sqrt(1 - alpha_hat) G e; hard: mean G e; denoised: -mean Q(s, a_theta) / Q_norm."""
    if not config.use_guidance_loss:
        return jnp.zeros(())
    if config.Q_guidance == "denoised":
        if noise.prior is None or noise.z is None:
            raise ValueError(
                "Q_guidance denoised runs the reverse process: its noise needs prior [B, A] and z [T, B, A]"
            )
        # Predicted actions are clipped here whatever `clip_sampler` says, and there is no dropout.
        actions = ddpm(network.noise, schedule, noise.prior, noise.z, clip=True)
        return -batch_mean(critic.values(actions), batch, axis=1) / (q_norm + EPSILON)
    scale = jnp.sqrt(1 - hats) if config.Q_guidance == "soft" else 1.0
    return batch_mean(scale * gradient * e, batch)


def plain_bc_loss(actor: dict, batch: Batch, noise: ActorNoise, x: Array, config: DacConfig) -> Array:
    """mean (e - eps)^2 without dropout, which is what dual ascent compares with its threshold."""
    e = NoiseNetwork(actor, config, batch["observations"]).noise(x, noise.t)
    return jax.lax.stop_gradient(batch_mean((e - noise.eps) ** 2, batch))
