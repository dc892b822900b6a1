"""OpenGL is chosen when a process starts, so each case is a process of its own."""

import os
import subprocess
import sys

import numpy as np
import pytest

from offlow_core.rendering import RenderingError, choose_gl_backend, require_rendering
from offlow_core.suites import SuiteOptions, resolve

SCRIPT = """
from offlow_core.suites import resolve
env = resolve("{}cube-single-play-singletask-v0").make_environment()
print(env.reset(seed=0)[0].shape)
"""
STATE_TASK, VISUAL_TASK = SCRIPT.format(""), SCRIPT.format("visual-")
NO_DRIVER = {"__EGL_VENDOR_LIBRARY_FILENAMES": "/nonexistent.json"}
linux_only = pytest.mark.skipif(sys.platform != "linux", reason="the backend is chosen on Linux only")


def works() -> bool:
    try:
        require_rendering()
    except RenderingError:
        return False
    return True


needs_gl = pytest.mark.skipif(not works(), reason="OpenGL does not work here")


def run(script: str, **environment: str) -> subprocess.CompletedProcess:
    ours = ("MUJOCO_GL", "DISPLAY", "WAYLAND_DISPLAY", "PYOPENGL_PLATFORM")
    kept = {name: value for name, value in os.environ.items() if name not in ours}
    return subprocess.run(
        [sys.executable, "-c", script], env=kept | environment, capture_output=True, text=True, check=False
    )


@linux_only
def test_state_tasks_work_quietly_without_a_display():
    result = run(STATE_TASK)
    assert (result.stdout, result.stderr) == ("(28,)\n", "")


@linux_only
def test_state_tasks_work_quietly_without_any_driver():
    result = run(STATE_TASK, **NO_DRIVER)
    assert (result.stdout, result.stderr) == ("(28,)\n", "")


@linux_only
def test_visual_tasks_say_what_to_install_where_there_is_no_driver():
    result = run(VISUAL_TASK, **NO_DRIVER)
    assert "RenderingError: This needs OpenGL, but MUJOCO_GL is disable: no driver was found" in result.stderr
    assert "apt-get install libegl1" in result.stderr


@linux_only
def test_a_chosen_backend_is_kept(monkeypatch):
    monkeypatch.setenv("MUJOCO_GL", "osmesa")
    choose_gl_backend()
    assert os.environ["MUJOCO_GL"] == "osmesa"


@linux_only
def test_with_a_display_nothing_is_chosen(monkeypatch):
    monkeypatch.delenv("MUJOCO_GL", raising=False)
    monkeypatch.setenv("DISPLAY", ":0")
    choose_gl_backend()
    assert "MUJOCO_GL" not in os.environ


@needs_gl
def test_visual_observations_are_stacked_uint8_frames_that_the_seed_decides():
    env = resolve("visual-cube-single-play-singletask-v0", SuiteOptions(frame_stack=3)).make_environment()
    assert (env.observation_space.shape, env.observation_space.dtype) == ((64, 64, 9), np.uint8)
    first, _ = env.reset(seed=0)
    assert (first.shape, first.dtype) == ((64, 64, 9), np.uint8)
    np.testing.assert_array_equal(first[..., :3], first[..., 6:])
    assert first.std() > 10  # not an empty picture
    second = env.step(np.ones(5, np.float32))[0]
    np.testing.assert_array_equal(second[..., 3:6], first[..., 6:])
    np.testing.assert_array_equal(env.reset(seed=0)[0], first)


@needs_gl
def test_a_state_environment_can_be_drawn():
    env = resolve("pointmaze-medium-navigate-singletask-v0").make_environment(render_mode="rgb_array")
    env.reset(seed=0)
    picture = env.render()
    assert picture.dtype == np.uint8
    assert picture.shape[2] == 3
