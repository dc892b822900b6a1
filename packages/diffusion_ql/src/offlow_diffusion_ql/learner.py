"""From options and a dataset to a learner."""

import sys

import torch

from offlow_core.data.reward_rules import DIFFUSION_QL, find_rule, tune_dataset
from offlow_core.data.transitions import Dataset
from offlow_core.option_checks import OptionError
from offlow_core.suites.task import Task
from offlow_core.torch.device import configure
from offlow_core.torch.device_data import Sampler
from offlow_core.torch.learner import TorchLearner
from offlow_core.training.learner import Phase
from offlow_diffusion_ql.agent import DiffusionQl
from offlow_diffusion_ql.cloning_agent import BehaviourCloning
from offlow_diffusion_ql.config import DiffusionQlConfig, DiffusionQlOptions


def make_agent(
    config: DiffusionQlConfig,
    observation_shape: tuple[int, ...],
    action_dim: int,
    *,
    seed: int,
    device: torch.device,
    compiled: bool = False,
) -> DiffusionQl | BehaviourCloning:
    """The agent of a configuration; OptionError where observations are images."""
    if len(observation_shape) != 1:
        raise OptionError(
            f"Diffusion-QL has no image encoder: it needs observations that are state vectors, got "
            f"{'x'.join(map(str, observation_shape))}; choose the task's state variant"
        )
    kind = DiffusionQl if config.algo == "ql" else BehaviourCloning
    return kind(config, observation_shape[0], action_dim, seed=seed, device=device, compiled=compiled)


def make_learner(options: DiffusionQlOptions, dataset: Dataset, task: Task) -> TorchLearner:
    """A learner for consecutive seeds from `options.seed` on."""
    config, sampler = options.agent, Sampler(frame_stack=options.frame_stack or 1)
    device = configure(options.device)
    if options.early_stop and task.make_environment is None:
        raise OptionError("early_stop compares evaluations, and the task has no environment; leave it out")
    if (config.policy, config.algo, config.flow_q_gradient) == ("flow", "ql", "full"):
        print(
            "flow policy: the critic's gradient runs through the Euler steps; in the fork's own code it never reaches "
            "the policy (--agent.flow_q_gradient=none, or --preset fork_parity)",
            file=sys.stderr,
        )
    dataset, _ = tune_dataset(dataset, find_rule(DIFFUSION_QL, config.reward_tune))
    shape, action_dim = dataset.train.observation_shape(sampler.frame_stack), dataset.train.actions.shape[1]
    seeds = range(options.seed, options.seed + options.num_seeds)
    return TorchLearner(
        [make_agent(config, shape, action_dim, seed=s, device=device, compiled=options.compile) for s in seeds],
        seeds,
        [Phase("offline", 0, options.offline_steps)],
        dataset,
        sampler,
        batch_size=config.batch_size,
        device=device,
        record=options.compile and device.type == "cuda",
    )
