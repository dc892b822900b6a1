"""Names and sizes of the data sets that can be collected."""

import pytest

from offlow_core.data.collect.protocol import PROTOCOLS, CollectError, find_protocol


def test_every_promised_data_set_is_there():
    manipulation = ["cube-single", "cube-double", "cube-triple", "cube-quadruple", "scene"]
    manipulation += ["puzzle-3x3", "puzzle-4x4", "puzzle-4x5", "puzzle-4x6"]
    names = {f"{v}{e}-{b}-v0" for v in ("", "visual-") for e in manipulation for b in ("play", "noisy")}
    names |= {f"pointmaze-{m}-{b}-v0" for m in ("medium", "large", "giant", "teleport") for b in ("navigate", "stitch")}
    assert set(PROTOCOLS) == names


@pytest.mark.parametrize(
    ("name", "episodes", "rows"),
    [
        ("cube-single-play", 1000, 1001),
        ("cube-triple-noisy", 3000, 1001),
        ("visual-cube-quadruple-play", 5000, 1001),
        ("scene-noisy", 1000, 1001),
        ("puzzle-4x4-play", 1000, 1001),
        ("puzzle-4x5-play", 3000, 1001),
        ("puzzle-4x6-noisy", 5000, 1001),
        ("pointmaze-medium-navigate", 1000, 1001),
        ("pointmaze-giant-navigate", 500, 2001),
        ("pointmaze-giant-stitch", 5000, 201),
        ("pointmaze-teleport-stitch", 5000, 201),
    ],
)
def test_official_sizes(name, episodes, rows):
    protocol = find_protocol(name)
    assert (protocol.episodes, protocol.episode_rows) == (episodes, rows)


def test_a_data_set_goes_by_several_names():
    expected = PROTOCOLS["cube-single-play-v0"]
    for name in ("cube-single-play", "cube-single-play-singletask-v0", "cube-single-play-singletask-task4-v0"):
        assert find_protocol(name) == expected
    assert expected.environment == "cube-single-v0"
    assert expected.task == "cube-single-play-singletask-v0"


def test_a_typing_error_gets_near_matches():
    with pytest.raises(CollectError, match=r"'cube-singel-play' .* did you mean cube-single-play-v0"):
        find_protocol("cube-singel-play")


def test_a_name_of_nothing_gets_the_list():
    with pytest.raises(CollectError, match=r"there are: cube-single-play-v0, .*pointmaze-teleport-stitch-v0"):
        find_protocol("xyz")


@pytest.mark.parametrize("name", ["antmaze-large-navigate-v0", "humanoidmaze-giant-stitch", "antsoccer-arena-navigate"])
def test_what_needs_trained_policies_says_so(name):
    with pytest.raises(CollectError, match="policies are not distributed"):
        find_protocol(name)
