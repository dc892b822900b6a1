"""Rendered observations."""

import ctypes.util

import numpy as np
import pytest

from offlow_core.data.collect import collection as collection_module
from offlow_core.data.collect.collection import Collection, collect
from offlow_core.data.collect.protocol import CollectError, find_protocol
from offlow_core.rendering import RenderingError

needs_opengl = pytest.mark.skipif(
    not (ctypes.util.find_library("EGL") or ctypes.util.find_library("OSMesa")), reason="no OpenGL library"
)


def test_a_machine_without_opengl_is_told_before_any_work(tmp_path, monkeypatch):
    def nothing():
        raise RenderingError("no driver was found")

    monkeypatch.setattr(collection_module, "require_rendering", nothing)
    collection = Collection(find_protocol("visual-scene-play"), tmp_path / "set.npz", 1, 1, 3, seed=0)
    with pytest.raises(RenderingError, match="no driver"):
        collect(collection, workers=1, progress=False)
    assert list(tmp_path.iterdir()) == []


@needs_opengl
@pytest.mark.slow
def test_frames(tmp_path):
    protocol = find_protocol("visual-cube-single-play")
    collection = Collection(protocol, tmp_path / "set.npz", episodes=1, val_episodes=1, episode_rows=3, seed=0)
    collect(collection, workers=1, progress=False)
    with np.load(collection.out) as file:
        frames = file["observations"]
    assert frames.dtype == np.uint8
    assert frames.shape == (3, 64, 64, 3)
    assert 30 < frames.mean() < 220
    assert frames.std() > 10


def test_shadows_are_only_for_frames(tmp_path):
    protocol = find_protocol("cube-single-play")
    with pytest.raises(CollectError, match="shadow_size must be positive and needs a visual"):
        Collection(protocol, tmp_path / "set.npz", 1, 1, 3, seed=0, shadow_size=1024)


@needs_opengl
@pytest.mark.slow
def test_coarser_shadows_change_little_but_something(tmp_path):
    protocol = find_protocol("visual-cube-single-play")
    frames = []
    for shadow_size in (None, 64):
        out = tmp_path / f"{shadow_size}.npz"
        collection = Collection(protocol, out, 1, 1, 2, seed=0, shadow_size=shadow_size)
        collect(collection, workers=1, progress=False)
        with np.load(out) as file:
            frames.append(file["observations"].astype(float))
    change = np.abs(frames[0] - frames[1])
    assert 0 < change.mean() < 3
