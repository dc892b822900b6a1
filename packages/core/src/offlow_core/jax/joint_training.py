"""Agents that train all their networks by one loss and one Adam, offline and online alike."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, NamedTuple, cast

import jax
import jax.numpy as jnp
import optax

from offlow_core.jax.acting import ActionRule
from offlow_core.jax.critics import gradient_statistics, moving_average
from offlow_core.jax.device_data import Batch
from offlow_core.jax.encoders import Impala
from offlow_core.jax.joint_noise import draw_joint_noise
from offlow_core.jax.networks import Array
from offlow_core.jax.updates import Metrics, Report


class JointState(NamedTuple):
    """All that training changes. The target has no optimizer: it only follows its source. Updates count from 1."""

    params: dict
    target: dict
    optimizer: optax.OptState
    next_update: Array


@dataclass(frozen=True)
class JointAgent(ABC):
    """The agent for one task: configuration, shapes and the image encoder, if any. A subclass brings the losses.

    `config` has lr, tau and batch_size; the noise of an update is a tuple with a field `mse_action` [B, A].
    """

    config: Any
    observation_shape: tuple[int, ...]
    action_dim: int
    encoder: Impala | None = None

    target_source: ClassVar[str]
    """The module that the target follows."""

    @abstractmethod
    def init_params(self, key: Array) -> dict:
        """Fresh modules, without the target."""

    def draw_noise(self, key: Array, batch_size: int) -> Any:
        """Fresh draws for one update."""
        return draw_joint_noise(key, batch_size, self.action_dim)

    @abstractmethod
    def loss(self, params: dict, state: JointState, batch: Batch, noise: Any) -> tuple[Array, dict[str, Array]]:
        """The joint loss of `params`, everything in `state` being constant, and its intermediate arrays."""

    @abstractmethod
    def metrics(self, parts: dict[str, Array]) -> Metrics:
        """Scalars for the log from those arrays."""

    @abstractmethod
    def sample_actions(self, params: dict, observations: Array, z: Array) -> Array:
        """The policy's actions [B, A] for observations [B, ...] and noise [B, A]."""

    @property
    def one_sample(self) -> ActionRule:
        """The policy with one draw of noise per call, as agents explore."""
        return ActionRule(lambda state, s, z: self.sample_actions(state.params, s, z), (self.action_dim,))

    @cached_property
    def _adam(self) -> optax.GradientTransformation:
        return optax.adam(self.config.lr)

    def init(self, key: Array) -> JointState:
        """A fresh state; the target starts as a copy of its source."""
        params = self.init_params(key)
        return self.with_fresh_optimizer(params, jax.tree.map(jnp.copy, params[self.target_source]))

    def with_fresh_optimizer(self, params: dict, target: dict, next_update: int = 1) -> JointState:
        """A state with the given parameters and zero Adam moments."""
        return JointState(params, target, self._adam.init(params), jnp.asarray(next_update, jnp.int32))

    def update(self, state: JointState, batch: Batch, noise: Any) -> tuple[JointState, Report]:
        """One Adam step; the target follows its source as it was *before* the step, as in the official codes."""
        gradients, parts = self.gradients(state, batch, noise)
        updates, optimizer = self._adam.update(gradients, state.optimizer)
        params = self.constrain(cast(dict, optax.apply_updates(state.params, updates)), state)
        target = moving_average(state.target, state.params[self.target_source], self.config.tau)

        def report() -> Metrics:
            error = self.action_error(state.params, batch, noise.mse_action)
            return {**self.metrics(parts), "actor/mse": error, **gradient_statistics(gradients)}

        return JointState(params, target, optimizer, state.next_update + 1), report

    def constrain(self, params: dict, state: JointState) -> dict:
        """What becomes of the parameters that Adam proposes; here, everything."""
        return params

    def gradients(self, state: JointState, batch: Batch, noise: Any) -> tuple[dict, dict[str, Array]]:
        """Gradients of the joint loss and its intermediate arrays."""
        return jax.grad(self.loss, has_aux=True)(state.params, state, batch, noise)

    def loss_metrics(self, state: JointState, batch: Batch, noise: Any) -> Metrics:
        """The losses of a batch, without an update."""
        return self.metrics(self.loss(state.params, state, batch, noise)[1])

    def action_error(self, params: dict, batch: Batch, z: Array) -> Array:
        """Mean squared distance of the policy's actions from the dataset's; for the log only."""
        return jnp.mean((self.sample_actions(params, batch["observations"], z) - batch["actions"]) ** 2)
