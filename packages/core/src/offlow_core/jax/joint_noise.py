"""Random draws of an update of agents with a cloned flow: normals, and times that are uniform in [0, 1)."""

from typing import NamedTuple

import jax

from offlow_core.jax.networks import Array


class ActorNoise(NamedTuple):
    """Of the actor's loss: x0 [B, A] and t [B, 1] of the cloning paths, the start [B, A] of the actor's own action."""

    x0: Array
    t: Array
    start: Array


class JointNoise(NamedTuple):
    """Of one update, [B, A]: what a' starts from, the actor's, and `mse_action`, which serves a logged metric only."""

    next_action: Array
    x0: Array
    t: Array
    start: Array
    mse_action: Array

    @property
    def actor(self) -> ActorNoise:
        """The part of the actor's loss."""
        return ActorNoise(self.x0, self.t, self.start)


def draw_joint_noise(key: Array, batch_size: int, action_dim: int) -> JointNoise:
    """Fresh draws."""
    normal_key, t_key = jax.random.split(key)
    draws = jax.random.normal(normal_key, (4, batch_size, action_dim))
    return JointNoise(draws[0], draws[1], jax.random.uniform(t_key, (batch_size, 1)), draws[2], draws[3])
