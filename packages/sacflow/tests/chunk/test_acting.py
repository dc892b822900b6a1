"""Policies as evaluation calls them."""

import numpy as np
import pytest
import torch
from chunk_agents import ACTIONS, HORIZON, KINDS, OBSERVATIONS, SAC, make_agent

from offlow_core.evaluation import ActionQueue
from offlow_core.evaluation.noise import normal_rows
from offlow_sacflow.chunk.noise import fixed_steps
from offlow_sacflow.chunk.sampling import noisy_rollout
from offlow_sacflow.rollout import RolloutNoise

ROWS = 6
VARIANTS = [
    *((kind, {}) for kind in KINDS),
    ("acfql", {"actor_type": "best-of-n"}),
    ("chunk_flow_g", {"rollout_noise": "fixed"}),
]


def moments() -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    return random.normal(size=(ROWS, OBSERVATIONS)), random.integers(0, 2**32, (ROWS, 2), np.uint32)


@pytest.mark.parametrize(("kind", "options"), VARIANTS)
@pytest.mark.parametrize(("action_chunking", "shape"), [(True, (HORIZON, ACTIONS)), (False, (ACTIONS,))])
def test_a_call_decides_on_a_chunk_and_a_row_does_not_feel_the_others(kind, options, action_chunking, shape):
    policy = make_agent(kind, action_chunking=action_chunking, **options).policy()
    observations, seeds = moments()
    actions = policy(observations, seeds)
    assert (actions.shape, actions.dtype) == ((ROWS, *shape), np.float32)
    assert (np.abs(actions) <= 1).all()
    np.testing.assert_array_equal(policy(observations, seeds), actions)
    np.testing.assert_allclose(policy(observations[2:3], seeds[2:3]), actions[2:3], rtol=1e-5, atol=1e-6)
    assert (policy(observations, seeds[::-1].copy()) != actions).any()


def test_a_chunk_is_executed_in_the_order_in_which_it_was_learned():
    agent = make_agent("acfql")
    observations, seeds = moments()
    flat = agent.act(
        *(torch.from_numpy(a) for a in (observations[:1].astype(np.float32), normal_rows(seeds[:1], agent.noise_shape)))
    )
    queue = ActionQueue()
    queue.add(agent.policy()(observations[:1], seeds[:1])[0])
    executed = np.concatenate([queue.pop() for _ in range(HORIZON)])
    np.testing.assert_allclose(executed, flat[0].detach(), rtol=1e-6)


@torch.no_grad()
@pytest.mark.parametrize("kind", SAC)
def test_noise_of_the_way_when_acting(kind):
    observations, seeds = moments()
    states = torch.from_numpy(observations.astype(np.float32))
    for rollout_noise in ("fresh", "fixed"):
        agent = make_agent(kind, rollout_noise=rollout_noise, inference_noise_std=0.3)
        draws = torch.from_numpy(normal_rows(seeds, agent.noise_shape)).transpose(0, 1)
        steps = draws[1:]
        if rollout_noise == "fixed":
            assert len(steps) == 0
            steps = fixed_steps(3, (agent.flat_dim,), states.device)[:, None].expand(3, ROWS, -1)
        expected = noisy_rollout(agent.field, states, RolloutNoise(draws[0], steps), 0.3).actions
        found = agent.policy()(observations, seeds)
        np.testing.assert_allclose(found.reshape(ROWS, -1), expected, rtol=1e-5, atol=1e-6)
