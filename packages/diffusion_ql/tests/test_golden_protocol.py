"""Reward changes, model selection, early stopping and decayed step sizes against recorded ones of the official code."""

import numpy as np
import pytest

from offlow_core.data.reward_rules import DIFFUSION_QL, find_rule, tune_rewards
from offlow_core.data.transitions import Transitions
from offlow_core.testing.golden import GoldenCase, case_files, load_case
from offlow_diffusion_ql.agent import cosine_decay
from offlow_diffusion_ql.config import EVALUATION_EPOCHS
from offlow_diffusion_ql.model_selection import has_risen, offline_choice

CASES = [case for case in map(load_case, case_files(__file__, "diffusion_ql")) if "reward_tune" in case.config]
RULES = {"upstream": "upstream", "intended": "corrected"}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_rewards(case: GoldenCase):
    rewards, terminals = (case.arrays[f"batch/{name}"].reshape(-1) for name in ("rewards", "terminals"))
    n = len(rewards)
    masks = 1 - terminals.astype(np.float32)
    states = np.zeros((n, 1), np.float32)
    transitions = Transitions.from_arrays(states, states, rewards, masks, np.arange(n) == n - 1, states)
    np.testing.assert_array_equal(transitions.masks, case.arrays["expected/not_done"][:, 0])
    for name, expected in case.group("expected/reward").items():
        tuned, _ = tune_rewards(transitions, find_rule(DIFFUSION_QL, name))
        np.testing.assert_allclose(tuned.rewards, expected[:, 0], rtol=2e-5, atol=1e-6, err_msg=name)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_selection_and_early_stopping(case: GoldenCase):
    sequences = case.group("batch/bc_loss")
    assert sequences
    for sequence, losses in sequences.items():
        for theirs, ours in RULES.items():
            for k, index in case.group(f"expected/offline_selected_index_{theirs}/{sequence}").items():
                assert offline_choice(losses, int(k.removeprefix("k")), ours) == index, (sequence, theirs, k)
        risen = [i for i in range(len(losses)) if has_risen(losses[: i + 1])]
        assert (risen or [-1])[0] == case.arrays[f"expected/early_stop_index/{sequence}"], sequence


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_step_sizes(case: GoldenCase):
    for name, expected in case.group("expected/lr_per_interval").items():
        epochs = int(name.removeprefix("epochs"))
        assert len(expected) == epochs // EVALUATION_EPOCHS
        found = [3e-4 * cosine_decay(i, epochs) for i in range(len(expected))]
        np.testing.assert_allclose(found, expected, rtol=1e-6)
