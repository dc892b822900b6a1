"""From options and a dataset to a learner: FAC and FQL behind one door."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from offlow_core.data.transitions import Dataset
from offlow_core.jax.device_data import Sampler
from offlow_core.jax.encoders import find_encoder
from offlow_core.jax.learner import JaxLearner
from offlow_core.jax.networks import Array
from offlow_core.option_checks import OptionError
from offlow_core.suites.task import Task
from offlow_fac.config import FacConfig, FacOptions, FqlConfig, FqlOptions
from offlow_fac.fac import Fac
from offlow_fac.fac_phases import fac_phases
from offlow_fac.fql import Fql
from offlow_fac.fql_phases import fql_phases


def make_agent(config: FacConfig | FqlConfig, observation_shape: tuple[int, ...], action_dim: int) -> Fac | Fql:
    """The agent of a configuration for observations and actions of these shapes."""
    encoder = find_encoder(config.encoder, observation_shape)
    agent = Fac if isinstance(config, FacConfig) else Fql
    return agent(config, observation_shape, action_dim, encoder)


def make_learner(options: FacOptions | FqlOptions, dataset: Dataset, task: Task) -> JaxLearner:
    """A learner for consecutive seeds from `options.seed` on."""
    sampler = Sampler(frame_stack=options.frame_stack or 1, crop_probability=options.p_aug or 0.0)
    agent = make_agent(
        options.agent, dataset.train.observation_shape(sampler.frame_stack), dataset.train.actions.shape[1]
    )
    if sampler.crop_probability > 0 and agent.encoder is None:
        raise OptionError("p_aug crops images, but the task's observations are state vectors; leave --p_aug out")
    if isinstance(options, FacOptions):
        phases = fac_phases(agent, options, dataset, task, sampler)
    else:
        phases = fql_phases(agent, options, task)
    seeds = range(options.seed, options.seed + options.num_seeds)
    return JaxLearner(agent.init, acting(agent), phases, dataset, seeds, sampler)


def acting(agent: Fac | Fql) -> Callable:
    """The one-step policy as (state, observations, z) -> actions; with zero noise if evaluation asks for it."""

    def act(state: object, observations: Array, z: Array) -> Array:
        return agent.sample_actions(
            state.params, observations, z if agent.config.evaluation_noise else jnp.zeros_like(z)
        )

    return jax.jit(act)
