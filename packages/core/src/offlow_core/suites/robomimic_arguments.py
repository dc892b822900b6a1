"""What an environment of robosuite is made with: as the dataset says, or as robomimic's datasets have it."""

import copy
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from offlow_core.data.hdf5_file import Hdf5File
from offlow_core.data.validation import DatasetError
from offlow_core.suites.robomimic_names import RobomimicName

# robosuite's operational space controller as in the files low_dim_v15.hdf5: steps of 5 cm and 0.5 rad in the frame of
# the world, which is no longer robosuite's default.
_ARM = {
    "type": "OSC_POSE",
    "input_max": 1,
    "input_min": -1,
    "output_max": [0.05, 0.05, 0.05, 0.5, 0.5, 0.5],
    "output_min": [-0.05, -0.05, -0.05, -0.5, -0.5, -0.5],
    "kp": 150,
    "damping": 1,
    "impedance_mode": "fixed",
    "kp_limits": [0, 300],
    "damping_limits": [0, 10],
    "position_limits": None,
    "orientation_limits": None,
    "uncouple_pos_ori": True,
    "control_delta": True,
    "interpolation": None,
    "ramp_ratio": 0.2,
    "input_ref_frame": "world",
    "gripper": {"type": "GRIP"},
}
_TAKEN = (
    "robots",
    "controller_configs",
    "control_freq",
    "lite_physics",
    "env_configuration",
    "gripper_types",
    "base_types",
    "initialization_noise",
)
# Of no consequence for states and rewards, or set by us.
_IGNORED = re.compile(
    r"(has|use|render|camera)_.*|renderer(_config)?|ignore_done|reward_shaping|horizon|hard_reset|seed"
)
_NO_PATH = re.compile(r"[A-Za-z0-9_ -]*")


def default_arguments(name: RobomimicName) -> dict[str, Any]:
    """Keyword arguments for `robosuite.make` as robomimic's files of version 1.5 have them."""
    return {
        "robots": ["Panda"] * name.family.arms,
        "controller_configs": {"type": "BASIC", "body_parts": {"right": copy.deepcopy(_ARM)}},
        "control_freq": 20,
        "lite_physics": False,
    }


def environment_arguments(name: RobomimicName, path: Path | None) -> tuple[str, dict[str, Any]]:
    """Where the arguments come from ("dataset" or "defaults"), and the arguments.

    They are read from the dataset's file if it is there; DatasetError where it cannot be used.
    """
    if path is None or not path.exists():
        return "defaults", default_arguments(name)
    with Hdf5File(path) as file:
        return "dataset", stored_arguments(file, name)


def stored_arguments(file: Hdf5File, name: RobomimicName) -> dict[str, Any]:
    """The keyword arguments in a file's `env_args`, as far as they concern states and rewards.

    DatasetError where they are of another task or of another robosuite. A file may come from anybody: it may not name
    files to open.
    """
    stored = _env_args(file)
    environment, made_with = stored.get("env_name"), stored.get("env_version")
    if environment != name.family.environment:
        raise DatasetError(
            f"{file.path}: {name.canonical} needs demonstrations of {name.family.environment}, but `env_args` "
            f"of `data` says {environment}: this is the file of another task."
        )
    if not re.match(r"1\.5\b", str(made_with)):
        raise DatasetError(
            f"{file.path}: expected demonstrations made for robosuite 1.5, but `env_args` of `data` says {made_with}, "
            "whose observations and controllers are others: get low_dim_v15.hdf5."
        )
    return _chosen(stored.get("env_kwargs"), file.path)


def _chosen(given: Any, path: Path) -> dict[str, Any]:
    if not isinstance(given, dict) or "robots" not in given or "controller_configs" not in given:
        raise DatasetError(f"{path}: `env_args` of `data` must have `env_kwargs` with robots and controller_configs.")
    unknown = [key for key in given if key not in _TAKEN and not _IGNORED.fullmatch(key)]
    if unknown:
        raise DatasetError(
            f"{path}: `env_args` of `data` changes the environment by {', '.join(unknown)}; expected only "
            f"{', '.join(_TAKEN)}, and options of pictures."
        )
    chosen = {key: given[key] for key in _TAKEN if key in given}
    suspicious = [text for text in _texts(chosen) if not _NO_PATH.fullmatch(text)]
    if suspicious:
        raise DatasetError(
            f"{path}: `env_args` of `data` has {suspicious[0]!r} where a name is expected; a dataset may "
            "not name files."
        )
    return chosen


def _env_args(file: Hdf5File) -> dict[str, Any]:
    file.members("data")
    text = file.attribute("data", "env_args")
    if text is None:
        raise DatasetError(f"{file.path}: the group `data` must have the attribute `env_args` (robomimic), has none.")
    try:
        stored = json.loads(text)
    except (ValueError, TypeError) as error:
        raise DatasetError(f"{file.path}: the attribute `env_args` of `data` is no JSON ({error}).") from error
    if not isinstance(stored, dict):
        raise DatasetError(f"{file.path}: the attribute `env_args` of `data` must be a JSON object, got {stored!r}.")
    return stored


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for part in [*value, *value.values()] if isinstance(value, dict) else value:
            yield from _texts(part)
