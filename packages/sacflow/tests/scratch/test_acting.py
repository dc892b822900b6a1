"""Policies as evaluation calls them: three ways of using the noise."""

import numpy as np
import pytest
import torch
from scratch_agents import ACTIONS, KINDS, OBSERVATIONS, make_agent, make_range, unsettle

from offlow_core.evaluation.noise import normal_rows
from offlow_sacflow.rollout import RolloutNoise

ROWS = 12


def moments() -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    return random.normal(size=(ROWS, OBSERVATIONS)), random.integers(0, 2**32, (ROWS, 2), np.uint32)


def policies(agent) -> dict:
    return {
        "sampling": agent.policy(),
        "noiseless": agent.noiseless_policy(),
        "deterministic": agent.deterministic_policy(),
    }


@pytest.mark.parametrize("kind", KINDS)
def test_actions_are_valid_and_a_row_does_not_feel_the_others(kind):
    agent = unsettle(make_agent(kind))
    observations, seeds = moments()
    scale, offset = (bound.numpy() for bound in make_range())
    for policy in policies(agent).values():
        actions = policy(observations, seeds)
        assert (actions.shape, actions.dtype) == ((ROWS, ACTIONS), np.float32)
        assert (np.abs(actions - offset) <= scale * (1 + 1e-6)).all()
        np.testing.assert_array_equal(policy(observations, seeds), actions)
        np.testing.assert_allclose(policy(observations[3:4], seeds[3:4]), actions[3:4], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_which_noise_they_draw(kind):
    agent = unsettle(make_agent(kind))
    observations, seeds = moments()
    draws = torch.from_numpy(normal_rows(seeds, (4, ACTIONS))).transpose(0, 1)
    kept = {
        "sampling": draws,
        "noiseless": torch.cat([draws[:1], torch.zeros_like(draws[1:])]),
        "deterministic": torch.zeros_like(draws),
    }
    found = {name: policy(observations, seeds) for name, policy in policies(agent).items()}
    for name, noise in kept.items():
        with torch.no_grad():
            states = torch.from_numpy(observations.astype(np.float32))
            expected = agent.flow_policy.sample(states, RolloutNoise.of(noise)).actions
        np.testing.assert_array_equal(found[name], expected.numpy())
    other_seeds = seeds[::-1].copy()
    changes = {
        name: (policy(observations, other_seeds) != found[name]).any() for name, policy in policies(agent).items()
    }
    assert changes == {"sampling": True, "noiseless": True, "deterministic": False}
