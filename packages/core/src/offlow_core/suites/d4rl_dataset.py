"""Datasets of D4RL: find or download the file, convert its rows by the rules of a method, check everything."""

import os
from pathlib import Path

import numpy as np

from offlow_core.data.hdf5_file import Hdf5File
from offlow_core.data.transitions import Dataset, Transitions
from offlow_core.data.validation import DatasetError, validate
from offlow_core.suites.d4rl_download import download_file
from offlow_core.suites.d4rl_environments.families import Family
from offlow_core.suites.d4rl_names import D4RLName
from offlow_core.suites.d4rl_rules import RULES
from offlow_core.suites.dataset_files import given_files, load_files
from offlow_core.suites.options import SuiteOptions

DIRECTORY_VARIABLE = "D4RL_DATASET_DIR"
DATASET_DIR = "~/.d4rl/datasets"  # both are D4RL's own, so that its files are found


def load_dataset(name: D4RLName, options: SuiteOptions) -> Dataset:
    """Transitions of D4RL's dataset, or of `dataset_path` in its format, by the rules `options.d4rl_rules`.

    D4RL has no validation data; an own file may have some beside it. Raises DatasetError.
    """
    source, paths = _locate(name, options)
    return load_files(source, paths, lambda path: _load_file(path, name, options))


def files(name: D4RLName, options: SuiteOptions) -> dict[str, Path]:
    """Paths by role of the files that the task's data are in, whether they exist or not."""
    if options.dataset_path is not None:
        return given_files(Path(options.dataset_path).expanduser())
    folder = options.dataset_dir or os.environ.get(DIRECTORY_VARIABLE) or DATASET_DIR
    return {"train": Path(folder).expanduser() / name.file}


def fetch(name: D4RLName, options: SuiteOptions) -> list[Path]:
    """Download the file if it is missing; DatasetError where that fails."""
    _, paths = _locate(name, options)
    return list(paths.values())


def _locate(name: D4RLName, options: SuiteOptions) -> tuple[str, dict[str, Path]]:
    """Where the data come from, and their paths by role; downloads what is missing."""
    paths = files(name, options)
    if options.dataset_path is not None:
        return "dataset_path", paths
    if paths["train"].exists():
        return "cache", paths
    download_file(name.path, paths["train"])
    return "download", paths


def _load_file(path: Path, name: D4RLName, options: SuiteOptions) -> Transitions:
    arrays = _read(path, name.family)
    transitions = RULES[options.d4rl_rules].transitions(arrays, name.family)
    validate(transitions, str(path))
    return transitions


def _read(path: Path, family: Family) -> dict[str, np.ndarray]:
    """The arrays that become transitions, checked; the largest comes last, so that other faults are found at once."""
    as_family, per_row = f" as {family.name} has it", " (one row per observation)"
    with Hdf5File(path) as file:
        observations = (-1, family.observation_width)
        n = file.require_shape("observations", observations, as_family)[0]
        if n < 2:
            raise DatasetError(f"{path}: an episode needs at least two rows, got {n} rows in all.")
        arrays = {"terminals": file.read_flags("terminals", n, per_row)}
        if "timeouts" in file.fields:
            arrays["timeouts"] = file.read_flags("timeouts", n, per_row)
        arrays["rewards"] = file.read_floats("rewards", (n,), per_row)
        arrays["actions"] = file.read_floats("actions", (n, family.action_width), as_family)
        arrays["observations"] = file.read_floats("observations", observations)
    return arrays
