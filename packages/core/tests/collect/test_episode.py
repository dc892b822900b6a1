"""Random streams and rows of one episode."""

import gymnasium
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from offlow_core.data.collect.episode import EpisodeSeeds, Recorder

WORD = st.integers(0, 2**32 - 1)


@given(WORD, st.integers(0, 10_000), st.integers(0, 3))
def test_seeds_are_reproducible_and_differ_between_neighbours(seed, episode, attempt):
    seeds = EpisodeSeeds.derive(seed, episode, attempt)
    assert seeds == EpisodeSeeds.derive(seed, episode, attempt)
    others = [EpisodeSeeds.derive(seed, episode + 1, attempt), EpisodeSeeds.derive(seed, episode, attempt + 1)]
    assert seeds not in others


def test_the_first_attempt_uses_the_documented_sequence():
    words = np.random.SeedSequence([7, 3]).generate_state(4)
    seeds = EpisodeSeeds.derive(7, 3)
    assert [seeds.environment, seeds.numpy_global, seeds.action_space, seeds.collector] == words.tolist()


def test_start_seeds_every_generator_outside_the_environment():
    space = gymnasium.spaces.Box(-1.0, 1.0, (2,), np.float32)

    def draw():
        generator = EpisodeSeeds.derive(0, 0).start(space)
        return [*space.sample(), np.random.uniform(), generator.uniform()]  # noqa: NPY002

    assert draw() == draw()


def test_rows_have_the_official_layout():
    recorder = Recorder()
    for t in range(3):
        info = {
            "prev_qpos": np.array([t, 0.5]),
            "prev_qvel": np.array([0.1]),
            "prev_button_states": np.array([t, 1]),
            "qpos": np.array([np.nan, np.nan]),
        }
        recorder.add(np.array([0.1 * t]), np.array([1.0, -1.0]), info)
    arrays = recorder.arrays()
    assert {key: (str(a.dtype), a.shape) for key, a in arrays.items()} == {
        "observations": ("float32", (3, 1)),
        "actions": ("float32", (3, 2)),
        "qpos": ("float32", (3, 2)),
        "qvel": ("float32", (3, 1)),
        "button_states": ("int64", (3, 2)),
        "terminals": ("bool", (3,)),
    }
    assert arrays["terminals"].tolist() == [False, False, True]
    assert arrays["qpos"][:, 0].tolist() == [0, 1, 2]
    assert arrays["button_states"].tolist() == [[0, 1], [1, 1], [2, 1]]


def test_frames_stay_bytes():
    recorder = Recorder()
    info = {"prev_qpos": np.zeros(1), "prev_qvel": np.zeros(1)}
    recorder.add(np.full((64, 64, 3), 200, np.uint8), np.zeros(5), info)
    frames = recorder.arrays()["observations"]
    assert frames.dtype == np.uint8
    assert frames.shape == (1, 64, 64, 3)
    assert frames.max() == 200
