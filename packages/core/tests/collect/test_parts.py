"""Finished episodes on disk, and the file that they become."""

import zipfile
from collections import Counter

import numpy as np
import pytest

from offlow_core.data.collect.episode import Episode
from offlow_core.data.collect.npz_output import write_joined
from offlow_core.data.collect.parts import PartsFolder
from offlow_core.data.collect.protocol import CollectError

SETTINGS = {"dataset": "cube-single-play-v0", "seed": 0}


def episode(k, rows=3):
    arrays = {
        "observations": np.full((rows, 2), k, np.float32),
        "button_states": np.arange(rows * 2).reshape(rows, 2) + k,
        "terminals": np.arange(rows) == rows - 1,
    }
    return Episode(arrays, Counter({"cube attempted": k + 2, "cube achieved": k}))


@pytest.fixture
def parts(tmp_path):
    folder = PartsFolder(tmp_path / "set.npz.parts")
    folder.open(SETTINGS, discard=False)
    return folder


def test_episodes_come_back_as_they_were(parts):
    parts.save(2, episode(2))
    assert parts.finished() == {2: Counter({"cube attempted": 4, "cube achieved": 2})}
    arrays = parts.arrays(2)
    assert set(arrays) == {"observations", "button_states", "terminals"}
    assert all(np.array_equal(arrays[key], value) for key, value in episode(2).arrays.items())


@pytest.mark.parametrize("damage", [lambda b: b[:-40], lambda b: b[:100] + b"\xff" + b[101:], lambda _: b""])
def test_a_damaged_episode_is_collected_again(parts, capsys, damage):
    parts.save(0, episode(0))
    parts.save(1, episode(1))
    path = parts.episode_file(1)
    path.write_bytes(damage(path.read_bytes()))
    assert list(parts.finished()) == [0]
    assert not path.exists()
    assert "episode-000001.npz is damaged" in capsys.readouterr().out


def test_equal_settings_continue_and_sweep_up(parts):
    parts.save(0, episode(0))
    leftover = parts.path / "episode-000001.npz.123.tmp"
    leftover.write_bytes(b"half")
    parts.open(dict(SETTINGS), discard=False)
    assert list(parts.finished()) == [0]
    assert not leftover.exists()


def test_other_settings_are_refused_by_name(parts):
    parts.save(0, episode(0))
    with pytest.raises(CollectError, match=r"other settings \(seed: there 0, now 1\).*--overwrite"):
        parts.open({**SETTINGS, "seed": 1}, discard=False)
    assert list(parts.finished()) == [0]


def test_other_settings_start_afresh_on_demand(parts):
    parts.save(0, episode(0))
    parts.open({**SETTINGS, "seed": 1}, discard=True)
    assert parts.finished() == {}


def test_only_one_process_collects(parts):
    with parts.locked(), pytest.raises(CollectError, match="another process"), parts.locked():
        pass
    with parts.locked():
        pass


def test_a_failed_write_leaves_nothing(parts, monkeypatch):
    def half(file, **_):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez_compressed", half)
    with pytest.raises(OSError, match="No space left"):
        parts.save(0, episode(0))
    assert [path.name for path in parts.path.iterdir()] == ["settings.json"]


def test_the_joined_file_is_what_numpy_would_write(parts, tmp_path):
    for k in range(3):
        parts.save(k, episode(k))
    with (tmp_path / "ours.npz").open("wb") as file:
        write_joined(file, parts, [2, 0, 1])
    expected = {key: np.concatenate([episode(k).arrays[key] for k in (2, 0, 1)]) for key in episode(0).arrays}
    np.savez_compressed(tmp_path / "numpy.npz", **expected)
    with zipfile.ZipFile(tmp_path / "ours.npz") as ours, zipfile.ZipFile(tmp_path / "numpy.npz") as theirs:
        assert ours.namelist() == theirs.namelist()
        assert all(ours.read(name) == theirs.read(name) for name in ours.namelist())
        assert {info.compress_type for info in ours.infolist()} == {zipfile.ZIP_DEFLATED}
