"""From options and a dataset to a learner: FAC and FQL behind one door."""

from typing import overload

import jax.numpy as jnp

from offlow_core.data.transitions import Dataset
from offlow_core.jax.acting import ActionRule
from offlow_core.jax.agent_phases import agent_phases
from offlow_core.jax.device_data import make_sampler
from offlow_core.jax.encoders import find_encoder
from offlow_core.jax.joint_training import JointState
from offlow_core.jax.learner import JaxLearner
from offlow_core.jax.networks import Array
from offlow_core.suites.task import Task
from offlow_fac.config import FacConfig, FacOptions, FqlConfig, FqlOptions
from offlow_fac.fac import Fac, FacState
from offlow_fac.fac_phases import fac_phases
from offlow_fac.fql import Fql


@overload
def make_agent(config: FacConfig, observation_shape: tuple[int, ...], action_dim: int) -> Fac: ...


@overload
def make_agent(config: FqlConfig, observation_shape: tuple[int, ...], action_dim: int) -> Fql: ...


def make_agent(config: FacConfig | FqlConfig, observation_shape: tuple[int, ...], action_dim: int) -> Fac | Fql:
    """The agent of a configuration for observations and actions of these shapes."""
    encoder = find_encoder(config.encoder, observation_shape)
    if isinstance(config, FacConfig):
        return Fac(config, observation_shape, action_dim, encoder)
    return Fql(config, observation_shape, action_dim, encoder)


def make_learner(options: FacOptions | FqlOptions, dataset: Dataset, task: Task) -> JaxLearner:
    """A learner for consecutive seeds from `options.seed` on."""
    sampler = make_sampler(dataset.train, frame_stack=options.frame_stack, p_aug=options.p_aug)
    shapes = dataset.train.observation_shape(sampler.frame_stack), dataset.train.actions.shape[1]
    if isinstance(options, FacOptions):
        agent = make_agent(options.agent, *shapes)
        phases = fac_phases(agent, options, dataset, task, sampler)
    else:
        agent = make_agent(options.agent, *shapes)
        phases = agent_phases(agent, options, task, rewards=task.rewards)
    seeds = range(options.seed, options.seed + options.num_seeds)
    return JaxLearner(agent.init, policy(agent), evaluated_policy(agent), phases, dataset, seeds, sampler)


def policy(agent: Fac | Fql) -> ActionRule:
    """The one-step policy, as it explores."""
    return ActionRule(lambda state, s, z: agent.sample_actions(state.params, s, z), (agent.action_dim,))


def evaluated_policy(agent: Fac | Fql) -> ActionRule:
    """The one-step policy as it is judged: with zero noise if the configuration asks for that."""

    def act(state: FacState | JointState, observations: Array, z: Array) -> Array:
        z = z if agent.config.evaluation_noise else jnp.zeros_like(z)
        return agent.sample_actions(state.params, observations, z)

    return ActionRule(act, (agent.action_dim,))
