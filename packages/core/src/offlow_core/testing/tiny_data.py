"""Tiny datasets of real tasks, for tests that run whole commands. A task is given as the words that choose it."""

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np

from offlow_core.data.collect.jobs import make_collector
from offlow_core.data.collect.protocol import find_protocol
from offlow_core.data.npz_file import write_npz

HOPPER_REFERENCES = (-20.272305, 3234.3)
"""D4RL's returns of the random and of the expert policy."""


def write_maze(folder: Path) -> list[str]:
    """The OGBench maze whose environment is the cheapest: 33 transitions, 11 held out; episodes of 1000 steps."""
    return _write_ogbench(folder, "pointmaze-medium-navigate", 12)


def write_cube(folder: Path) -> list[str]:
    """An OGBench manipulation task: 42 transitions, 14 held out; episodes of 200 steps."""
    return _write_ogbench(folder, "cube-single-play", 15)


def _write_ogbench(folder: Path, name: str, rows: int) -> list[str]:
    """Three episodes of the benchmark's own oracle to train on and one to validate with."""
    collector = make_collector(find_protocol(name), rows)
    episodes = [collector.collect(0, episode, lambda _: None).arrays for episode in range(4)]
    path = folder / f"{name}-v0.npz"
    write_npz(path, {key: np.concatenate([episode[key] for episode in episodes[:3]]) for key in episodes[0]})
    write_npz(folder / f"{name}-v0-val.npz", episodes[3])
    return [f"--env_name={name}-singletask-v0", f"--dataset_path={path}"]


def write_hopper(folder: Path) -> list[str]:
    """A D4RL file of noise in the shape of Hopper: 57 transitions; an untrained policy falls within a few steps."""
    random = np.random.default_rng(0)
    path = folder / "hopper.hdf5"
    with h5py.File(path, "w") as file:
        file["observations"] = random.random((60, 11), np.float32)
        file["actions"] = random.uniform(-1, 1, (60, 3)).astype(np.float32)
        file["rewards"] = random.random(60, np.float32)
        file["terminals"], file["timeouts"] = np.zeros(60, bool), np.arange(60) % 20 == 19
    return ["--env_name=hopper-medium-v2", f"--dataset_path={path}"]


def hopper_score(returns: np.ndarray) -> np.ndarray:
    """D4RL's normalised score of Hopper returns."""
    random, expert = HOPPER_REFERENCES
    return 100 * (returns - random) / (expert - random)


def write_own(folder: Path) -> list[str]:
    """Own data without an environment: 30 rows of noise, 10 held out, in trajectories of 10."""
    random = np.random.default_rng(0)
    for name, rows in (("arms", 30), ("arms-val", 10)):
        arrays = {"observations": random.random((rows, 4), np.float32), "rewards": random.random(rows, np.float32)}
        arrays |= {"actions": random.uniform(-1, 1, (rows, 2)).astype(np.float32)}
        write_npz(folder / f"{name}.npz", arrays | {"terminals": np.arange(rows) % 10 == 9})
    return ["--env_name=own/arms", f"--dataset_path={folder / 'arms.npz'}"]


def write_damaged(folder: Path, task: list[str], name: str, change: Callable[[np.ndarray], np.ndarray]) -> list[str]:
    """The task with a copy of its npz file in which one array is changed."""
    environment, path = task[0], Path(task[1].removeprefix("--dataset_path="))
    with np.load(path) as file:
        arrays = dict(file)
    damaged = folder / path.name
    write_npz(damaged, arrays | {name: change(arrays[name])})
    return [environment, f"--dataset_path={damaged}"]
