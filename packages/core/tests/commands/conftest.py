"""What a person at a terminal sees: output, messages, exit status."""

import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest

from offlow_core.command import main

EXCERPT = Path(__file__).parents[1] / "suites" / "files" / "cube-single-play-excerpt.npz"


@pytest.fixture
def offlow(capsys):
    """Runs `offlow data WORDS` and gives what is printed; the words may hold paths."""

    def run(*words) -> str:
        main(["data", *map(str, words)])
        return capsys.readouterr().out

    return run


@pytest.fixture
def failure(capsys):
    """Runs `offlow data WORDS`, which must fail, and gives (output, message or status)."""

    def run(*words) -> tuple[str, str | int]:
        with pytest.raises(SystemExit) as stopped:
            main(["data", *map(str, words)])
        assert stopped.value.code not in (0, None)
        return capsys.readouterr().out, stopped.value.code

    return run


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch) -> Path:
    """An empty home, so that no test sees (or fills) a real cache."""
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    for name in ("D4RL_DATASET_DIR", "MINARI_DATASETS_PATH", "OFFLOW_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    return folder


@pytest.fixture
def cube(tmp_path) -> Path:
    """OGBench files under their official names, with episodes of 250 and 70 rows."""
    folder = tmp_path / "ogbench"
    folder.mkdir()
    shutil.copy(EXCERPT, folder / "cube-single-play-v0.npz")
    shutil.copy(EXCERPT.with_name("cube-single-play-excerpt-val.npz"), folder / "cube-single-play-v0-val.npz")
    return folder


@pytest.fixture
def unmarked(tmp_path) -> Path:
    """A D4RL file without `timeouts`: 2,100 rows of hopper, in which no row is terminal."""
    generator = np.random.default_rng(0)
    path = tmp_path / "unmarked.hdf5"
    with h5py.File(path, "w") as file:
        file["observations"] = np.cumsum(generator.normal(size=(2100, 11)), axis=0).astype(np.float32)
        file["actions"] = generator.uniform(-1, 1, (2100, 3)).astype(np.float32)
        file["rewards"], file["terminals"] = np.ones(2100, np.float32), np.zeros(2100, bool)
        file["infos/qpos"] = generator.normal(size=(2100, 6)).astype(np.float32)
    return path


@pytest.fixture
def hopper(tmp_path) -> Path:
    """A D4RL file: an episode of 40 rows that falls and one of 60 rows that is cut off, with rewards of 1."""
    generator = np.random.default_rng(0)
    terminals, timeouts = np.zeros(100, bool), np.zeros(100, bool)
    terminals[39], timeouts[99] = True, True
    path = tmp_path / "hopper_medium-v2.hdf5"
    with h5py.File(path, "w") as file:
        file["observations"] = np.cumsum(generator.normal(size=(100, 11)), axis=0).astype(np.float32)
        file["actions"] = generator.uniform(-1, 1, (100, 3)).astype(np.float32)
        file["rewards"] = np.ones(100, np.float32)
        file["terminals"], file["timeouts"] = terminals, timeouts
        file["infos/qpos"] = generator.normal(size=(100, 6)).astype(np.float32)
        file["metadata/algorithm"] = "SAC"
    return path
