"""What DeFlow and DeFlow-VF share as agents: they act and stop cloning alike, and differ in the critic."""

import jax
import jax.numpy as jnp

from offlow_core.jax.behaviour_flow import behaviour_condition
from offlow_core.jax.flows import flow_actions
from offlow_core.jax.joint_training import JointAgent, JointState
from offlow_core.jax.networks import Array
from offlow_deflow.refinement import policy_actions

CLONED = ("actor_bc_flow", "actor_bc_flow_encoder")


class RefinedAgent(JointAgent):
    """An agent whose actor is a refined flow."""

    def sample_actions(self, params: dict, observations: Array, z: Array) -> Array:
        """pi(s; z) [B, A] for observations [B, ...] and noise [B, A]."""
        return policy_actions(params, self.encoder, observations, z, self.config.flow_steps)

    def sample_behaviour(self, state: JointState, observations: Array, z: Array) -> Array:
        """The cloned flow's actions [B, A], not refined."""
        return flow_actions(behaviour_condition(state.params, self.encoder, observations), z, self.config.flow_steps)

    def clones(self, state: JointState) -> Array | bool:
        """Whether the coming update has a cloning loss."""
        return not self.config.fix_bc_flow_online or state.next_update <= self.config.offline_steps

    def constrain(self, params: dict, state: JointState) -> dict:
        """With `freeze_bc_flow_online` the flow stays as it was when the online phase began."""
        if not self.config.freeze_bc_flow_online:
            return params
        frozen = state.next_update > self.config.offline_steps
        cloned = {name: (state.params[name], params[name]) for name in CLONED if name in params}
        kept = {
            name: jax.tree.map(lambda old, new: jnp.where(frozen, old, new), *both) for name, both in cloned.items()
        }
        return params | kept
