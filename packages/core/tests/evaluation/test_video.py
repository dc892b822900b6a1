"""Videos: what they show, and that nothing half-written is left."""

import functools
import os
import resource
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import toy_environments as toys

from offlow_core.evaluation import EvaluationError, Evaluator
from offlow_core.evaluation.video import FAILED, SUCCEEDED, UNDER_WAY, with_border

imageio_ffmpeg = pytest.importorskip("imageio_ffmpeg", reason="needs the extra `video`")


def constant(value):
    return lambda observations, noise_seeds: np.full((len(noise_seeds), 1), value)


def film(path, make_environment=toys.Picture, policy=None, **options):
    policy = policy or constant(1.0)
    return Evaluator(make_environment, num_envs=3, num_workers=1).record_video(policy, path, seed=0, **options)


def frames_of(path, height, width):
    decode = [imageio_ffmpeg.get_ffmpeg_exe(), "-i", path, "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    raw = subprocess.run(decode, capture_output=True, check=True).stdout
    return np.frombuffer(raw, np.uint8).reshape(-1, height, width, 3)


def names_in(folder):
    return [path.name for path in folder.iterdir()]


def corner_colours(frames):
    """The border colour of each frame, as the nearest of the three."""
    names = {"under way": UNDER_WAY, "succeeded": SUCCEEDED, "failed": FAILED}
    means = [frame[:3, :3].reshape(-1, 3).mean(axis=0) for frame in frames]
    return [min(names, key=lambda name: np.abs(mean - names[name]).sum()) for mean in means]


def test_episodes_follow_one_another_and_their_borders_tell_the_outcome(tmp_path):
    path = tmp_path / "new folder" / "walk.mp4"
    records = film(path, episodes=2)
    frames = frames_of(path, 242 + 12, 302 + 12)  # even, with six border pixels on each side
    # Per episode: the reset, two steps under way, the step that succeeds, and 0.7 s of 10 frames a second.
    assert corner_colours(frames) == (["under way"] * 3 + ["succeeded"] * 8) * 2
    assert np.abs(frames[5][120, 150].astype(int) - [0, 0, 250]).max() < 12
    assert [record.success for record in records] == [1.0, 1.0]
    assert names_in(path.parent) == ["walk.mp4"]


def test_a_failed_episode_ends_in_red(tmp_path):
    film(tmp_path / "walk.mp4", policy=constant(0.1), episodes=1)
    assert corner_colours(frames_of(tmp_path / "walk.mp4", 254, 314)) == ["under way"] * 6 + ["failed"] * 7


def test_the_policy_is_asked_with_its_usual_batch_and_records_are_those_of_an_evaluation(tmp_path):
    shapes = set()

    def policy(observations, noise_seeds):
        shapes.add((observations.shape, noise_seeds.shape))
        return noise_seeds[:, 1:] / 4.0

    records = film(tmp_path / "walk.mp4", policy=policy, episodes=2)
    with Evaluator(toys.Picture, num_envs=3, num_workers=0) as evaluator:
        assert evaluator.evaluate(policy, episodes=2, seed=0) == records
    assert shapes == {((3, 2), (3, 2))}


def test_small_frames_are_enlarged():
    frame = np.arange(64 * 65 * 3).reshape(64, 65, 3).astype(np.uint8)
    picture = with_border(frame, (1, 2, 3))
    assert picture.shape == (4 * 64 + 12, 4 * 65 + 12, 3)
    assert np.array_equal(picture[6:-6:4, 6:-6:4], frame)
    assert picture[0, 0].tolist() == picture[-1, -1].tolist() == [1, 2, 3]


def test_a_missing_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    with pytest.raises(ModuleNotFoundError, match=r"offlow-core\[video\]"):
        film(tmp_path / "walk.mp4", episodes=1)


def test_other_formats_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"ends in \.mp4, got .*walk\.gif"):
        film(tmp_path / "walk.gif", episodes=1)


@pytest.mark.parametrize(
    ("make_environment", "message"),
    [
        (toys.Growing, r"frames that keep their size"),
        (toys.Blind, r"(?s)no OpenGL context.*No frame was rendered.*MUJOCO_GL=egl"),
        (functools.partial(toys.Picture, (241, 301)), r"to give uint8 \[H, W, 3\], got uint8 \(241, 301\)"),
    ],
)
def test_a_failure_keeps_the_old_video_and_leaves_no_other_file(tmp_path, make_environment, message):
    (tmp_path / "walk.mp4").write_text("the video of yesterday")
    with pytest.raises(EvaluationError, match=message):
        film(tmp_path / "walk.mp4", make_environment, episodes=1)
    assert names_in(tmp_path) == ["walk.mp4"]
    assert (tmp_path / "walk.mp4").read_text() == "the video of yesterday"


def test_a_full_disk_leaves_no_video(tmp_path):
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (500, old[1]))
    try:
        with pytest.raises((OSError, RuntimeError, EvaluationError)):
            film(tmp_path / "walk.mp4", episodes=2)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
    assert names_in(tmp_path) == []


PROBE = """
import mujoco
model = mujoco.MjModel.from_xml_string("<mujoco/>")
mujoco.Renderer(model, 8, 8).close()
"""
PROGRAM = """
import functools, sys
import gymnasium
import numpy as np
from offlow_core.evaluation import Evaluator

make = functools.partial(gymnasium.make, "InvertedPendulum-v5", max_episode_steps=4, width=96, height=80)
policy = lambda observations, noise_seeds: np.zeros((len(noise_seeds), 1))
print(Evaluator(make).record_video(policy, sys.argv[1], episodes=1, seed=0)[0].length)
"""


def run(program, *arguments):
    environment = os.environ | {"MUJOCO_GL": os.environ.get("MUJOCO_GL", "egl")}
    command = [sys.executable, "-c", textwrap.dedent(program), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)


def test_a_mujoco_environment_is_filmed(tmp_path):
    if run(PROBE).returncode != 0:
        pytest.skip("no headless OpenGL here (MUJOCO_GL=egl or osmesa)")
    result = run(PROGRAM, str(tmp_path / "pendulum.mp4"))
    assert result.stdout.strip() == "4", result.stderr
    frames = frames_of(tmp_path / "pendulum.mp4", 3 * 80 + 12, 3 * 96 + 12)
    assert len(frames) > 5
    assert frames[0][6:-6, 6:-6].std() > 5  # not one flat colour
