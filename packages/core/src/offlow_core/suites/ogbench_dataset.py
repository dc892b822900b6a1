"""Datasets of OGBench: find or download the files, relabel rewards for the task, check everything."""

from pathlib import Path

import gymnasium
import numpy as np

from offlow_core.data.collect.protocol import PROTOCOLS
from offlow_core.data.download import DownloadError, download
from offlow_core.data.intact import require_npz
from offlow_core.data.ogbench_rows import OGBenchFile, read_ogbench_file, regular_rows, to_transitions
from offlow_core.data.transitions import Dataset, Transitions
from offlow_core.data.validation import DatasetError, require_shape, validate
from offlow_core.suites.dataset_files import given_files, load_files
from offlow_core.suites.ogbench_environment import make_environment
from offlow_core.suites.ogbench_names import OGBenchName
from offlow_core.suites.options import SuiteOptions
from offlow_core.suites.simulation import simulation_of
from offlow_core.suites.spaces import box
from offlow_core.suites.wrappers import OwnNumpyStream

DATASET_ADDRESS = "https://rail.eecs.berkeley.edu/datasets/ogbench"
DATASET_DIR = "~/.ogbench/data"  # the package's own cache
_IMAGE_SHAPE = (64, 64, 3)


def load_dataset(name: OGBenchName, options: SuiteOptions) -> Dataset:
    """Transitions of the task with its rewards; actions are clipped to +-(1 - 1e-5).

    Rewards are those of the state before the action: minus the number of conditions that do not hold yet, and `masks`
    is 0 where all of them hold. Raises DatasetError.
    """
    source, paths = _locate(name, options)
    # States are enough to relabel, also for visual tasks: no OpenGL is needed to load data.
    env = OwnNumpyStream(make_environment(name.state_environment, SuiteOptions()))
    dataset = load_files(source, paths, lambda path: load_file(path, name, env))
    env.close()
    return dataset


def files(name: OGBenchName, options: SuiteOptions) -> dict[str, Path]:
    """Paths by role of the files that the task's data are in, whether they exist or not."""
    if options.dataset_path is not None:
        return given_files(Path(options.dataset_path).expanduser())
    folder = Path(options.dataset_dir or DATASET_DIR).expanduser()
    return {"train": folder / f"{name.dataset}.npz", "validation": folder / f"{name.dataset}-val.npz"}


def fetch(name: OGBenchName, options: SuiteOptions) -> list[Path]:
    """Download what is missing of the files; DatasetError where that fails."""
    _, paths = _locate(name, options)
    return list(paths.values())


def _locate(name: OGBenchName, options: SuiteOptions) -> tuple[str, dict[str, Path]]:
    """Where the files come from, and their paths by role; downloads what is missing."""
    paths = files(name, options)
    if options.dataset_path is not None:
        return "dataset_path", paths
    missing = [path for path in paths.values() if not path.exists()]
    for path in missing:
        try:
            download(f"{DATASET_ADDRESS}/{path.name}", path, check=require_npz)
        except DownloadError as error:
            raise DatasetError(f"{error}{_collect_hint(name)}") from error
    return "download" if missing else "cache", paths


def _collect_hint(name: OGBenchName) -> str:
    if name.dataset not in PROTOCOLS:
        return ""
    return f"\nOr make a dataset by the same protocol on this machine: offlow data collect {name.dataset}"


def load_file(path: Path, name: OGBenchName, env: gymnasium.Env) -> Transitions:
    """Transitions of one file, with the rewards of the task of `env`; DatasetError where it cannot be used."""
    file = read_ogbench_file(path, visual=name.visual, buttons=name.family.has_buttons)
    require_widths(file, name, env)
    rewards, masks = _relabel(file, name, env)
    transitions = to_transitions(file, rewards, masks)
    validate(transitions, str(path))
    return transitions


def require_widths(file: OGBenchFile, name: OGBenchName, env: gymnasium.Env) -> None:
    """Refuse a file of another environment, which would be relabelled without complaint, and wrongly."""
    observation = _IMAGE_SHAPE if name.visual else box(env.observation_space).shape
    reason = f" as {name.environment} has it"
    require_shape(file.observations, (-1, *observation), "observations", str(file.path), reason)
    require_shape(file.actions, (-1, *box(env.action_space).shape), "actions", str(file.path), reason)
    simulation = simulation_of(env)
    require_shape(file.qpos, (-1, simulation.model.nq), "qpos", str(file.path), reason)
    if file.button_states is not None:
        require_shape(file.button_states, (-1, simulation._num_buttons), "button_states", str(file.path), reason)


def _relabel(file: OGBenchFile, name: OGBenchName, env: gymnasium.Env) -> tuple[np.ndarray, np.ndarray]:
    from ogbench.relabel_utils import relabel_dataset

    rows, _, _ = regular_rows(file.terminals)
    states = {"qpos": file.qpos[rows]}
    if file.button_states is not None:
        states["button_states"] = file.button_states[rows]
    relabel_dataset(name.state_environment, env, states)
    return states["rewards"], states["masks"]
