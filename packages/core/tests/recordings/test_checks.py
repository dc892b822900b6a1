"""Each fault is found, with the row to look at; sound rows are not reported."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from offlow_core.data.recordings.checks import check_fields, check_recording
from offlow_core.data.recordings.fields import Fields


@pytest.fixture
def sound(recording):
    """Ten cut-off episodes of 20 rows, that start at rest and move by one per step."""
    positions = np.tile(np.arange(20.0), 10) + np.repeat(np.arange(10) * 0.01, 20)
    actions = np.random.default_rng(0).uniform(-1, 1, (200, 2)).astype(np.float32)
    observations = np.stack([positions, 3 - positions / 2], axis=1).astype(np.float32)
    return recording((20,) * 10, (False,) * 10, observations=observations, actions=actions)


def problems(recording) -> list[str]:
    return [f"{found.level} {found.text}" for found in check_recording(recording) if found.level != "OK"]


def with_successors(recording, **changes):
    after = recording.observations + np.float32([1, 0])
    after[:-1][~recording.ends[:-1]] = recording.observations[1:][~recording.ends[:-1]]
    return replace(recording, next_observations=after, **changes)


def test_sound_rows_are_not_reported(sound):
    assert problems(sound) == []
    assert problems(with_successors(sound)) == []
    texts = [found.text for found in check_recording(sound)]
    assert "10 episodes, the last row ends one" in texts
    assert "no step inside of an episode is far larger than all others" in texts
    assert "rewards from 0 to 199, returns from 190 to 3790" in texts


def test_a_missing_border_between_episodes_of_one_length(sound):
    timeouts = sound.timeouts.copy()
    timeouts[59] = False
    assert problems(replace(sound, timeouts=timeouts)) == [
        "FAIL 1 episode longer than the 20 rows after which others are cut off, the first from row 40 with 40 rows: "
        "the border after row 59 may be missing",
        "WARN 1 step inside of episodes far larger than all others, the first after row 59: a border may be missing "
        "there",
    ]


def test_an_episode_in_overtime_is_only_unusual(recording):
    found = problems(recording((20, 20, 20, 25), (False, False, False, True)))
    assert found == [
        "WARN 1 episode longer than the 20 rows after which others are cut off, the first from row 60 with 25 rows: "
        "the border after row 79 may be missing"
    ]


def test_episodes_of_various_lengths_have_no_usual_one(recording):
    assert problems(recording((5, 10, 20, 40), (False,) * 4)) == []


def test_a_file_that_stops_in_the_middle(sound):
    names = ("observations", "actions", "rewards", "terminals", "timeouts")
    cut = replace(sound, **{name: getattr(sound, name)[:190] for name in names})
    assert problems(cut) == ["WARN the last row (189) ends no episode: the file is cut off, or unfinished"]
    assert problems(replace(cut, format="ogbench")) == [
        "FAIL the last row (189) ends no episode: the file is cut off, or unfinished"
    ]


def test_flags_that_contradict_each_other(sound):
    terminals = sound.terminals.copy()
    terminals[[39, 79]] = True
    assert problems(replace(sound, terminals=terminals)) == [
        "WARN 2 rows marked both terminal and cut off, the first is 39"
    ]


def test_without_any_cut_off_row_borders_may_be_lost(recording):
    assert problems(recording((5, 6), (True, True))) == [
        "WARN no row is marked in `timeouts`: an episode that was cut off runs on into the next"
    ]


def test_episodes_of_a_single_row(recording):
    assert problems(recording((4, 1, 3), (False,) * 3)) == ["WARN 1 episode of a single row, the first is row 4"]


def test_goals_inside_of_episodes_are_no_fault(sound):
    terminals = np.zeros(200, bool)
    terminals[[5, 6, 7, 8, 45, 46]] = True
    found = replace(sound, terminals=terminals)
    assert problems(found) == []
    assert any("goals lie inside of episodes" in finding.text for finding in check_recording(found))


@pytest.mark.parametrize(("format", "level"), [("own", "WARN"), ("d4rl", "FAIL"), ("minari", "FAIL")])
def test_a_successor_that_is_not_the_next_row(sound, format, level):
    broken = with_successors(sound, format=format)
    broken.next_observations[[33, 36]] += 1
    assert problems(broken) == [
        f"{level} the recorded successor is not the next row's state in 2 rows inside of episodes, the first is 33: a "
        "border is missing there (`timeouts`), or rows were removed"
    ]


def test_shuffled_rows(sound):
    order = np.random.default_rng(0).permutation(200)
    whole = with_successors(sound, timeouts=np.zeros(200, bool))
    names = ("observations", "actions", "rewards", "terminals", "next_observations")
    shuffled = replace(whole, **{name: getattr(whole, name)[order] for name in names})
    assert "WARN rows are not in the order of time: most `next_observations` are not the next row" in problems(shuffled)


def test_repeated_rows_and_episodes(sound):
    observations, actions = sound.observations.copy(), sound.actions.copy()
    observations[100:120], actions[100:120] = observations[20:40], actions[20:40]
    observations[150], actions[150] = observations[7], actions[7]
    found = problems(replace(sound, observations=observations, actions=actions))
    assert found[-1] == (
        "WARN 21 rows (10.5%) with the observation and action of an earlier one, 1 episode as a whole; row 100 repeats "
        "row 20"
    )


def test_equal_states_with_different_actions_are_no_repetition(sound):
    assert problems(replace(sound, observations=np.tile(sound.observations[:20], (10, 1)))) == []


@pytest.mark.parametrize(("format", "level"), [("own", "FAIL"), ("d4rl", "WARN"), ("ogbench", "WARN")])
def test_actions_outside_of_their_range(sound, format, level):
    actions = sound.actions.copy()
    actions[[17, 90], 1] = -1.5
    actions[3, 0] = 1 + 5e-6  # a rounding error
    found = problems(replace(sound, actions=actions, format=format))
    assert len(found) == 1
    assert found[0].startswith(f"{level} actions outside of [-1, 1], up to 1.5, in 2 rows, the first is 17: ")


def test_rewards_that_say_nothing(sound):
    assert problems(replace(sound, rewards=np.full(200, -1.0))) == [
        "WARN all rewards are -1: there is nothing to prefer"
    ]
    assert problems(replace(sound, format="ogbench", rewards=None)) == []


def fields(sound, **changes) -> Fields:
    return Fields(Path("file.npz"), "own", sound.arrays | changes)


def levels_and_texts(found) -> list[str]:
    return [f"{finding.level} {finding.text}" for finding in found if finding.level != "OK"]


def test_numbers_that_are_not_finite_are_reported_for_each_field(sound):
    observations, rewards = sound.observations.copy(), sound.rewards.copy()
    observations[[7, 9], 1], rewards[4] = np.nan, np.inf
    speeds = np.full((200, 1), np.nan)
    found = levels_and_texts(check_fields(fields(sound, observations=observations, rewards=rewards)))
    assert found[:2] == [
        "FAIL `observations`: NaN or infinity in 2 rows, the first is row 7, number 1",
        "FAIL `rewards`: NaN or infinity in 1 row, the first is row 4",
    ]
    extra = levels_and_texts(check_fields(fields(sound, **{"infos/speed": speeds})))
    assert extra == ["FAIL `infos/speed`: NaN or infinity in 200 rows, the first is row 0, number 0"]


def test_numbers_that_are_too_large_for_training(sound):
    found = levels_and_texts(check_fields(fields(sound, rewards=np.append(np.zeros(199), 1e39))))
    assert found == ["FAIL `rewards`: values up to 1e+39 in size do not fit into float32"]


def test_constant_columns(sound):
    wide = np.concatenate([sound.observations, np.ones((200, 10), np.float32)], axis=1)
    assert levels_and_texts(check_fields(fields(sound, observations=wide))) == [
        "WARN `observations`: 10 of 12 columns are constant (2, 3, 4, 5, 6, 7, 8, 9, ...)"
    ]


def test_what_can_be_checked_is_checked_though_fields_do_not_fit(sound):
    found = levels_and_texts(
        check_fields(fields(sound, rewards=sound.rewards[:5], actions=np.full_like(sound.actions, np.nan)))
    )
    assert found == [
        "FAIL `rewards` must have the shape (200,), one row per action, got (5,).",
        "FAIL `actions`: NaN or infinity in 200 rows, the first is row 0, number 0",
    ]
