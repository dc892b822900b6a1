"""Datasets of robomimic: find or download the file, put its demonstrations one after another, check everything."""

import re
from pathlib import Path

import numpy as np

from offlow_core.data.hdf5_file import Hdf5File
from offlow_core.data.transitions import Dataset, Transitions, clip_actions, leaves_unit
from offlow_core.data.validation import DatasetError, validate
from offlow_core.suites.dataset_files import given_files, load_files
from offlow_core.suites.options import SuiteOptions
from offlow_core.suites.robomimic_arguments import stored_arguments
from offlow_core.suites.robomimic_download import download_file
from offlow_core.suites.robomimic_names import Family, RobomimicName

DATASET_DIR = "~/.robomimic"
REWARD_SHIFT = -1.0  # so that every step costs one until the task is solved
_DEMONSTRATION = re.compile(r"demo_(\d+)")


def load_dataset(name: RobomimicName, options: SuiteOptions) -> Dataset:
    """Transitions of robomimic's dataset, or of `dataset_path` in its format; rewards are 0 or 1, minus 1.

    Demonstrations come in the order of their numbers. `masks` are 0 where the file says done: in every row after which
    the task is solved, and in the last one of each demonstration. Actions are clipped to +-(1 - 1e-5). Raises
    DatasetError.
    """
    source, paths = _locate(name, options)
    return load_files(source, paths, lambda path: read_file(path, name))


def files(name: RobomimicName, options: SuiteOptions) -> dict[str, Path]:
    """Paths by role of the files that the task's data are in, whether they exist or not."""
    if options.dataset_path is not None:
        return given_files(Path(options.dataset_path).expanduser())
    return {"train": Path(options.dataset_dir or DATASET_DIR).expanduser() / name.path}


def fetch(name: RobomimicName, options: SuiteOptions) -> list[Path]:
    """Download the file if it is missing; DatasetError where that fails."""
    _, paths = _locate(name, options)
    return list(paths.values())


def read_file(path: Path, name: RobomimicName) -> Transitions:
    """The transitions of one file, checked."""
    with Hdf5File(path) as file:
        stored_arguments(file, name)
        demonstrations = _demonstrations(file)
        parts = [_read(file, group, name.family) for group in demonstrations]
    transitions = Transitions.from_arrays(**{key: np.concatenate([part[key] for part in parts]) for key in parts[0]})
    validate(transitions, str(path))
    return transitions


def _locate(name: RobomimicName, options: SuiteOptions) -> tuple[str, dict[str, Path]]:
    """Where the data come from, and their paths by role; downloads what is missing."""
    paths = files(name, options)
    if options.dataset_path is not None:
        return "dataset_path", paths
    if paths["train"].exists():
        return "cache", paths
    download_file(name.path, paths["train"])
    return "download", paths


def _demonstrations(file: Hdf5File) -> list[str]:
    """The groups of the demonstrations in the order of their numbers, of which 10 comes after 9."""
    matches = (_DEMONSTRATION.fullmatch(group) for group in file.members("data"))
    found = {match[0]: int(match[1]) for match in matches if match}
    if not found:
        raise DatasetError(f"{file.path}: the group `data` must hold demonstrations `demo_0`, `demo_1`, ..., has none.")
    return [f"data/{group}" for group in sorted(found, key=found.__getitem__)]


def _read(file: Hdf5File, group: str, family: Family) -> dict[str, np.ndarray]:
    """The arrays of one demonstration that become transitions, checked."""
    _require_fields(file, group, family)
    n = file.require_shape(f"{group}/actions", (-1, family.action_width), f" as {family.environment} has it")[0]
    if n == 0:
        raise DatasetError(f"{file.path}: `{group}` must hold at least one step, holds none.")
    dones = file.read_flags(f"{group}/dones", n, " (one per action)")
    return {
        "observations": _read_observations(file, f"{group}/obs", n, family),
        "actions": _read_actions(file, f"{group}/actions", n, family),
        # As truth values, because the rewards of a file with shaped ones would not be those of the environment.
        "rewards": file.read_flags(f"{group}/rewards", n, " (one per action)") + np.float32(REWARD_SHIFT),
        "masks": 1 - dones.astype(np.float32),
        "terminals": dones | (np.arange(n) == n - 1),
        "next_observations": _read_observations(file, f"{group}/next_obs", n, family),
    }


def _require_fields(file: Hdf5File, group: str, family: Family) -> None:
    """Name what is missing, and not the thousands of fields of the other demonstrations, as a general message would."""
    parts = [f"{kind}/{part}" for kind in ("obs", "next_obs") for part in family.parts]
    for field in ("actions", "rewards", "dones", *parts):
        if f"{group}/{field}" not in file.fields:
            raise DatasetError(
                f"{file.path}: the field `{group}/{field}` is missing; a low-dimensional file of robomimic has it "
                "(dataset_states_to_obs.py writes it; without --exclude-next-obs)."
            )


def _read_observations(file: Hdf5File, group: str, n: int, family: Family) -> np.ndarray:
    reason = f" as {family.environment} has it"
    parts = [file.read_floats(f"{group}/{part}", (n, width), reason) for part, width in family.parts.items()]
    return np.concatenate(parts, axis=1)


def _read_actions(file: Hdf5File, field: str, n: int, family: Family) -> np.ndarray:
    actions = file.read_floats(field, (n, family.action_width), f" as {family.environment} has it")
    outside = np.flatnonzero(leaves_unit(actions))
    if outside.size:
        row = int(outside[0])
        raise DatasetError(
            f"{file.path}: `{field}` must lie in [-1, 1], but row {row} holds {actions[row]}. Files with absolute "
            "actions are for other methods: get the original low_dim_v15.hdf5."
        )
    return clip_actions(actions)
