"""From options and a dataset to a learner: DeFlow, DeFlow-VF and floq behind one door."""

from offlow_core.data.transitions import Dataset
from offlow_core.jax.acting import ActionRule
from offlow_core.jax.agent_phases import agent_phases
from offlow_core.jax.device_data import make_sampler
from offlow_core.jax.encoders import find_encoder
from offlow_core.jax.learner import JaxLearner
from offlow_core.option_checks import OptionError
from offlow_core.suites.task import Task
from offlow_deflow.action_selection import action_rule
from offlow_deflow.config import DeFlowConfig, DeFlowVfConfig, FloqConfig, Options
from offlow_deflow.deflow import DeFlow
from offlow_deflow.deflow_vf import DeFlowVf
from offlow_deflow.floq import Floq
from offlow_deflow.refined_agent import RefinedAgent

Config = DeFlowConfig | DeFlowVfConfig | FloqConfig
Agent = DeFlow | DeFlowVf | Floq
AGENTS: dict[type[Config], type[Agent]] = {DeFlowConfig: DeFlow, DeFlowVfConfig: DeFlowVf, FloqConfig: Floq}


def make_agent(config: Config, observation_shape: tuple[int, ...], action_dim: int) -> Agent:
    """The agent of a configuration for observations and actions of these shapes."""
    if len(observation_shape) == 3 and not isinstance(config, DeFlowConfig):
        raise OptionError(
            f"{config.agent_name} needs state vectors, and observations here are images of shape {observation_shape}: "
            "its critic has no image encoder; --agent deflow has one"
        )
    return AGENTS[type(config)](config, observation_shape, action_dim, find_encoder(config.encoder, observation_shape))


def make_learner(options: Options, dataset: Dataset, task: Task) -> JaxLearner:
    """A learner for consecutive seeds from `options.seed` on; `options` are complete (see `from_data`)."""
    frame_stack, p_aug = options.frame_stack, getattr(options, "p_aug", None)
    sampler = make_sampler(dataset.train, frame_stack=frame_stack, p_aug=p_aug)
    shape = dataset.train.observation_shape(sampler.frame_stack)
    agent = make_agent(options.agent, shape, dataset.train.actions.shape[1])
    seeds = range(options.seed, options.seed + options.num_seeds)
    phases = agent_phases(agent, options, task, rewards=task.rewards)
    return JaxLearner(agent.init, agent.one_sample, evaluated_policy(agent), phases, dataset, seeds, sampler)


def evaluated_policy(agent: Agent) -> ActionRule:
    """The policy as it is judged: by `action_selection` where the agent has one."""
    if isinstance(agent, RefinedAgent):
        return action_rule(agent, agent.config.action_selection)
    return agent.one_sample
