import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from offlow_core.data.d4rl_rows import cut_offs, qlearning_rows, to_transitions

FLAGS = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=40)


def rows_one_by_one(terminals, timeouts, max_episode_steps, terminate_on_end) -> list[int]:
    """The definition, row after row."""
    rows, step = [], 0
    for i in range(len(terminals) - 1):
        final = timeouts[i] if timeouts is not None else step == max_episode_steps - 1
        if final and not terminate_on_end:
            step = 0
            continue
        if terminals[i] or final:
            step = 0
        rows.append(i)
        step += 1
    return rows


@given(FLAGS, st.booleans())
def test_rows_equal_the_definition_where_the_file_marks_timeouts(flags, terminate_on_end):
    terminals, timeouts = np.array(flags).T
    rows = qlearning_rows(terminals, timeouts, terminate_on_end=terminate_on_end)
    assert rows.tolist() == rows_one_by_one(terminals, timeouts, None, terminate_on_end)
    assert rows.dtype == np.int32


@given(st.lists(st.booleans(), min_size=1, max_size=60), st.integers(2, 7), st.booleans())
def test_rows_equal_the_definition_where_episodes_are_counted(terminals, limit, terminate_on_end):
    rows = qlearning_rows(np.array(terminals), max_episode_steps=limit, terminate_on_end=terminate_on_end)
    assert rows.tolist() == rows_one_by_one(terminals, None, limit, terminate_on_end)


def test_the_step_count_starts_at_one_after_a_terminal_row():
    terminals = np.array([0, 1, 0, 0, 0, 0, 0, 0], bool)
    # Counts: 0 1 | 1 2(cut) | 0 1 2(cut) | (last row)
    assert qlearning_rows(terminals, max_episode_steps=3).tolist() == [0, 1, 2, 4, 5]


def test_counted_cut_offs_stand_in_for_timeouts():
    terminals = np.array([0, 1, 0, 0, 0, 0, 0, 0], bool)
    timeouts = cut_offs(terminals, 3)
    assert np.flatnonzero(timeouts).tolist() == [3, 6]
    assert qlearning_rows(terminals, timeouts).tolist() == qlearning_rows(terminals, max_episode_steps=3).tolist()


def test_a_file_without_timeouts_needs_a_usable_limit():
    with pytest.raises(ValueError, match="needs max_episode_steps"):
        qlearning_rows(np.zeros(3, bool))
    with pytest.raises(ValueError, match="at least 2, got 1"):
        qlearning_rows(np.zeros(3, bool), max_episode_steps=1)


@pytest.fixture
def file() -> dict[str, np.ndarray]:
    """States 0 1 2 | 10 11 12 with a terminal at row 1 and a time-out at row 2."""
    return {
        "observations": np.array([[0], [1], [2], [10], [11], [12]], np.float32),
        "actions": np.arange(6, dtype=np.float32)[:, None],
        "rewards": np.array([0, 1, 0, 0, 0, 0], np.float32),
        "terminals": np.array([0, 1, 0, 0, 0, 0], bool),
        "timeouts": np.array([0, 0, 1, 0, 0, 0], bool),
    }


def test_trajectories_end_at_jumps_and_at_terminal_rows(file):
    rows = qlearning_rows(file["terminals"], file["timeouts"])
    assert rows.tolist() == [0, 1, 3, 4]  # 2 is cut off, 5 is last
    transitions = to_transitions(file, rows, terminal_ends_trajectory=True)
    assert transitions.terminals.tolist() == [0, 1, 0, 1]  # row 1 both ways, row 4 because it is the last
    assert transitions.masks.tolist() == [1, 0, 1, 1]
    assert transitions.rewards.tolist() == [0, 1, 0, 0]


def test_in_antmaze_a_goal_inside_of_an_episode_ends_no_trajectory(file):
    file["timeouts"][2] = False
    rows = qlearning_rows(file["terminals"], file["timeouts"])
    transitions = to_transitions(file, rows, terminal_ends_trajectory=False, reward_shift=-1.0)
    assert transitions.terminals.tolist() == [0, 0, 0, 0, 1]  # rows 2 -> 3 are neighbours in the file: no jump
    assert transitions.masks.tolist() == [1, 0, 1, 1, 1]
    assert transitions.rewards.tolist() == [-1, 0, -1, -1, -1]


def test_a_dropped_row_without_a_jump_ends_no_trajectory(file):
    file["observations"][3] = file["observations"][2]
    rows = qlearning_rows(file["terminals"], file["timeouts"])
    transitions = to_transitions(file, rows, terminal_ends_trajectory=False)
    assert transitions.terminals.tolist() == [0, 0, 0, 1]


def test_columns_of_shape_n_1_are_accepted(file):
    columns = file | {name: file[name][:, None] for name in ("rewards", "terminals")}
    rows = qlearning_rows(columns["terminals"], file["timeouts"][:, None])
    assert rows.tolist() == [0, 1, 3, 4]
    for name, values in to_transitions(columns, rows, terminal_ends_trajectory=True).gather(np.arange(4)).items():
        expected = to_transitions(file, rows, terminal_ends_trajectory=True).gather(np.arange(4))[name]
        np.testing.assert_array_equal(values, expected)


def test_a_million_rows_take_well_under_a_second():
    n = 1_000_000
    file = {
        "observations": np.random.default_rng(0).random((n, 4), np.float32),
        "actions": np.zeros((n, 1), np.float32),
        "rewards": np.zeros(n, np.float32),
        "terminals": np.arange(n) % 1777 == 1776,
    }
    began = time.process_time()
    rows = qlearning_rows(file["terminals"], max_episode_steps=1000)
    to_transitions(file, rows, terminal_ends_trajectory=True)
    assert time.process_time() - began < 1.0
