import numpy as np
import pytest

from offlow_dac.bandit.problem import (
    DATA_NAMES,
    Score,
    make_actions,
    make_dataset,
    score,
    score_of_data,
    true_rewards,
)
from offlow_dac.bandit.table import table_text, write_table


@pytest.mark.parametrize(("name", "count"), [*zip(DATA_NAMES, (800, 1200, 400, 400), strict=True)])
def test_every_set_is_the_same_in_every_run_and_in_the_square(name, count):
    actions = make_actions(name)
    assert actions.shape == (count, 2)
    assert actions.dtype == np.float32
    assert np.abs(actions).max() <= 1
    np.testing.assert_array_equal(actions, make_actions(name))


@pytest.mark.parametrize(
    ("name", "centres"),
    [("two_blobs", [(-0.6, 0.6), (0.4, 0.2)]), ("three_blobs", [(-0.6, 0.6), (0.4, 0.4), (-0.4, -0.4)])],
)
def test_blobs_lie_around_their_centres(name, centres):
    actions = make_actions(name)
    nearest = np.linalg.norm(actions[:, None] - np.array(centres), axis=2).argmin(1)
    for number, centre in enumerate(centres):
        blob = actions[nearest == number]
        assert len(blob) == 400
        np.testing.assert_allclose(blob.mean(0), centre, atol=0.02)
        np.testing.assert_allclose(blob.std(0), 0.1, atol=0.01)


def test_circles_have_radii_of_0_55_and_four_fifths_of_it():
    # Stretched to a width of 1.1 around the middle of [-0.8, 0.3] x [-0.2, 0.9].
    radii = np.linalg.norm(make_actions("circles") - (-0.25, 0.35), axis=1)
    to_circles = np.abs(radii[:, None] - (0.55, 0.44))
    assert to_circles.min(1).mean() < 0.04  # of normal numbers of 0.05, half of them nearer to the other circle
    assert radii.mean() == pytest.approx(0.495, abs=0.01)


def test_moons_are_two_half_circles_side_by_side():
    # Of radius 1 around (0, 0), upper, and around (1, 0.5), lower: 3 wide and 1.5 high before they are stretched.
    actions = make_actions("moons")
    unstretched = (actions - (-0.8, -0.2)) / 1.1 * (3, 1.5) + (-1, -0.5)
    upper = np.abs(np.linalg.norm(unstretched, axis=1) - 1)
    lower = np.abs(np.linalg.norm(unstretched - (1, 0.5), axis=1) - 1)
    assert np.minimum(upper, lower).mean() < 0.1  # spreads of 0.05 are 0.14 and 0.07 here
    assert np.median(actions[upper < lower][:, 1]) > np.median(actions[upper > lower][:, 1]) + 0.2


def test_rewards_are_minus_the_distance_from_the_best_action():
    actions = np.array([[0.4, -0.4], [0.7, 0.0], [-0.6, -0.4]], np.float32)
    np.testing.assert_allclose(true_rewards(actions), [0, -0.5, -1], atol=1e-6)


def test_a_dataset_of_single_steps_that_end():
    actions = np.array([[0.4, -0.4], [0.7, 0.0]], np.float32)
    batch = make_dataset(actions).train.gather(np.array([1, 0]))
    np.testing.assert_array_equal(batch["actions"], actions[::-1])
    np.testing.assert_allclose(batch["rewards"], [-0.5, 0], atol=1e-6)
    assert not batch["masks"].any()
    assert batch["terminals"].all()
    assert not batch["observations"].any()
    assert batch["next_observations"].shape == (2, 1)


DATA = np.array([[0.4, 0.1], [0.4, 0.6], [0.4, -0.4]])


def test_actions_are_judged_by_their_nearest_point():
    actions = np.array([[0.4, 0.05], [0.4, 0.3]])  # 0.05 and 0.2 from the first
    assert score(actions, DATA) == pytest.approx(Score(distance=0.125, near=0.5, reward=-0.575))


def test_data_are_judged_by_their_neighbours():
    assert score_of_data(DATA) == pytest.approx(Score(distance=0.5, near=0, reward=-0.5))


def test_the_table_as_text_and_as_a_file(tmp_path):
    scores = {"data": Score(0.01, 1.0, -1.0), "DAC, soft": Score(0.125, 0.5, -0.575)}
    lines = table_text(scores).splitlines()
    assert lines[0].split() == ["distance", "from", "data", "within", "0.1", "reward"]
    assert lines[2].split() == ["DAC,", "soft", "0.125", "50.0%", "-0.575"]
    path = write_table("moons", scores, tmp_path / "table.csv")
    assert path.read_text().splitlines() == [
        "data,method,distance_from_data,share_within_0.1,reward",
        "moons,data,0.0100,1.0000,-1.0000",
        'moons,"DAC, soft",0.1250,0.5000,-0.5750',
    ]
