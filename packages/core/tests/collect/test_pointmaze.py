"""The point mazes: which cells are starts and goals, and how they are walked."""

import numpy as np
import pytest

from offlow_core.data.collect.pointmaze import PointMazeCollector, cells_at_distance, free_cells, vertex_cells
from offlow_core.data.collect.protocol import find_protocol

RING = np.array([[1, 1, 1, 1, 1], [1, 0, 0, 0, 1], [1, 0, 1, 0, 1], [1, 0, 0, 0, 1], [1, 1, 1, 1, 1]])
BRANCH = np.array([[1, 1, 1, 1, 1, 1], [1, 0, 0, 0, 0, 1], [1, 1, 1, 0, 1, 1], [1, 1, 1, 1, 1, 1]])


def silent(_rows):
    """Report to nobody."""


def test_corners_of_a_ring_are_vertices_and_its_sides_are_not():
    assert len(free_cells(RING)) == 8
    assert vertex_cells(RING) == [(1, 1), (1, 3), (3, 1), (3, 3)]


def test_ends_and_branches_are_vertices():
    # (1, 2) is the only straight corridor: (1, 3) has a branch, the others are dead ends.
    assert vertex_cells(BRANCH) == [(1, 1), (1, 3), (1, 4), (2, 3)]


def test_distances_follow_the_corridors():
    assert cells_at_distance(RING, (1, 1), 0) == [(1, 1)]
    assert cells_at_distance(RING, (1, 1), 1) == [(1, 2), (2, 1)]
    assert cells_at_distance(RING, (1, 1), 4) == [(3, 3)]
    assert cells_at_distance(RING, (1, 1), 5) == []


@pytest.fixture(scope="module")
def navigate():
    return PointMazeCollector(find_protocol("pointmaze-medium-navigate"), episode_rows=1001)


@pytest.fixture(scope="module")
def teleport_stitch():
    return PointMazeCollector(find_protocol("pointmaze-teleport-stitch"), episode_rows=201)


def test_navigation_keeps_reaching_goals(navigate):
    episodes = [navigate.collect(0, k, silent) for k in range(3)]
    goals = [episode.counts["goals"] for episode in episodes]
    assert 12 <= sum(goals) <= 45, "about nine goals per thousand steps"
    for episode in episodes:
        arrays = episode.arrays
        assert arrays["observations"].shape == (1001, 2)
        assert np.array_equal(arrays["observations"], arrays["qpos"]), "rows hold the state before the step"
        assert np.abs(arrays["actions"]).max() == 1
        assert arrays["terminals"].sum() == 1


def test_a_step_moves_by_a_fifth_of_the_action(navigate):
    arrays = navigate.collect(0, 0, silent).arrays
    moved = np.diff(arrays["qpos"], axis=0)
    free = np.isclose(moved, 0.2 * arrays["actions"][:-1], atol=1e-4).all(axis=1)
    assert free.mean() > 0.7, "only walls may hold the point back"


def test_episodes_do_not_depend_on_those_before(navigate):
    later = navigate.collect(5, 1, silent).arrays
    navigate.collect(5, 2, silent)
    again = navigate.collect(5, 1, silent).arrays
    assert all(later[key].tobytes() == again[key].tobytes() for key in later)


def test_goals_of_navigation_are_vertices_and_starts_are_any_free_cell(navigate):
    generator = np.random.default_rng(0)
    routes = [navigate.draw_route(generator) for _ in range(2000)]
    assert {goal for _, goal in routes} == set(navigate.vertices)
    assert {start for start, _ in routes} == set(navigate.free)
    assert set(navigate.vertices) < set(navigate.free)


def test_goals_of_stitching_are_four_cells_away(teleport_stitch):
    generator = np.random.default_rng(0)
    for start, goal in (teleport_stitch.draw_route(generator) for _ in range(500)):
        ways = teleport_stitch.environment.unwrapped
        distances = ways.get_oracle_subgoal(ways.ij_to_xy(start), ways.ij_to_xy(start))[1]
        # One cell of this maze can only be left by teleportation: it has no neighbour and is its own goal.
        assert distances[goal] == (0 if start == (1, 7) else 4)


def test_stitching_ends_at_the_first_goal(teleport_stitch):
    episodes = [teleport_stitch.collect(1, k, silent) for k in range(5)]
    assert {episode.counts["goals"] for episode in episodes} <= {0, 1}
    assert all(len(episode.arrays["actions"]) == 201 for episode in episodes)


def test_the_model_stays_finite(navigate):
    navigate.collect(0, 0, silent)
    assert np.isfinite(navigate.environment.unwrapped.model.geom_pos).all()
