import numpy as np
import pytest

from offlow_diffusion_ql.toy.bandit import bandit_from, make_bandit, shares
from offlow_diffusion_ql.toy.table import table_text, write_table


def test_points_lie_around_their_corners_and_in_the_square():
    positions = np.array([[[2, 10]], [[0, -2]], [[-4, 0]], [[0, 0]]])  # one point for each corner
    bandit = bandit_from(positions, np.array([[2.0], [-1.0], [0.0], [1.0]]))
    np.testing.assert_allclose(bandit.actions, [[-0.7, 1.0], [-0.8, -0.9], [0.6, 0.8], [0.8, -0.8]], rtol=1e-6)
    assert bandit.rewards.tolist() == [4.0, -0.5, 1.5, 5.5]  # means 3, 0, 1.5, 5


def test_the_data_are_four_equal_corners_of_the_published_means():
    bandit = make_bandit(2022, rewarded=True)
    assert bandit.actions.shape == (10_000, 2)
    assert bandit.actions.dtype == bandit.rewards.dtype == np.float32
    np.testing.assert_allclose(shares(bandit.actions), [0.25, 0.25, 0.25, 0.25, 0], atol=0.001)
    np.testing.assert_allclose(bandit.rewards.reshape(4, -1).mean(1), [3, 0, 1.5, 5], atol=0.05)
    np.testing.assert_allclose(bandit.rewards.reshape(4, -1).std(1), 0.5, atol=0.03)
    np.testing.assert_allclose(bandit.actions[2500:5000].mean(0), [-0.8, -0.8], atol=0.005)


def test_imitation_sees_the_same_actions_without_rewards():
    rewarded, plain = (make_bandit(7, rewarded=rewarded) for rewarded in (True, False))
    np.testing.assert_array_equal(rewarded.actions, plain.actions)
    assert not plain.rewards.any()
    assert not np.array_equal(make_bandit(8, rewarded=False).actions, plain.actions)


SAMPLES = np.array([[-0.8, 0.8], [-0.8, 0.61], [0.95, -0.9], [0.95, -0.95]])  # the last is 0.212 from its corner


def test_shares_count_what_is_near_each_corner():
    np.testing.assert_allclose(shares(SAMPLES), [0.5, 0, 0, 0.25, 0.25])


def test_the_table_as_text_and_as_a_file(tmp_path):
    lines = table_text({"data": SAMPLES, "BC-Flow": SAMPLES}).splitlines()
    assert lines[0].split() == ["left-up", "left-down", "right-up", "right-down", "elsewhere"]
    assert lines[2].split() == ["BC-Flow", "50.0%", "0.0%", "0.0%", "25.0%", "25.0%"]
    path = write_table({"BC-Flow": SAMPLES}, tmp_path / "table.csv")
    assert path.read_text().splitlines() == [
        "method,left_up,left_down,right_up,right_down,elsewhere",
        "BC-Flow,0.5000,0.0000,0.0000,0.2500,0.2500",
    ]


@pytest.mark.parametrize("points", [4, 400])
def test_any_number_of_points_is_shared_out_evenly(points):
    np.testing.assert_allclose(shares(make_bandit(0, rewarded=False, points=points).actions)[:4], 0.25)
