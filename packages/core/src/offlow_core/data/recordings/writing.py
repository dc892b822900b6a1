"""Rows to files, which appear complete or not at all."""

import json
import os
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from offlow_core.data import trajectories
from offlow_core.data.minari_files import MAIN_FILE, METADATA, default_folder
from offlow_core.data.npz_file import write_npz
from offlow_core.data.recordings import minari_fields
from offlow_core.data.recordings.recording import Recording
from offlow_core.data.validation import DatasetError
from offlow_core.files import atomic_file, sync_folder

_BLOCK_BYTES = 1 << 25
_MINARI_VERSION = "0.5.4"  # whose format is written
ENDINGS = {"own": (".npz", ".hdf5", ".h5"), "d4rl": (".hdf5", ".h5"), "ogbench": (".npz",), "minari": ("",)}


def write_recording(recording: Recording, target: Path, *, overwrite: bool) -> None:
    """Write the rows in their format to the file `target`, for Minari a folder.

    DatasetError where the ending does not fit, something is there already (unless `overwrite`), or there is no space.
    """
    _require_writable(recording, target, overwrite)
    with _explained(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(target.parent).free
        if recording.nbytes > free:
            raise DatasetError(f"{target}: {recording.nbytes:,} bytes are needed, but only {free:,} are free there.")
        if recording.format == "minari":
            _write_minari(recording, target)
        elif target.suffix == ".npz":
            _write_npz(_named_arrays(recording), target)
        else:
            _write_hdf5(_named_arrays(recording), target)


def _require_writable(recording: Recording, target: Path, overwrite: bool) -> None:
    endings = ENDINGS[recording.format]
    if target.suffix not in endings:
        expected = "no ending (a folder)" if endings == ("",) else f"the ending {' or '.join(endings)}"
        raise DatasetError(f"{target}: the format {recording.format} needs a name with {expected}.")
    if not target.exists():
        return
    if not overwrite:
        raise DatasetError(f"{target} exists; give --overwrite to replace it, or another name.")
    if target.resolve() == recording.path.resolve():
        raise DatasetError(f"{target}: cannot be written to while it is read; give another name.")
    if target.is_dir() != (recording.format == "minari"):
        raise DatasetError(f"{target} is {'a folder' if target.is_dir() else 'a file'}; give another name.")
    if target.is_dir():
        minari_fields.main_file(target)  # never replaces a folder with anything else in it


@contextmanager
def _explained(target: Path) -> Generator[None]:
    try:
        yield
    except OSError as error:
        raise DatasetError(f"{target}: cannot be written ({error}); nothing was left behind.") from error


def _named_arrays(recording: Recording) -> dict[str, np.ndarray]:
    """The arrays of a file, by the names of its format."""
    arrays = recording.arrays | recording.extras
    if recording.format == "ogbench":
        arrays["terminals"] = arrays.pop("timeouts")
    return arrays


def _write_npz(arrays: dict[str, np.ndarray], target: Path) -> None:
    total = sum(values.nbytes for values in arrays.values())
    with atomic_file(target) as file, tqdm.wrapattr(file, "write", total=total, **_shown(target)) as out:
        write_npz(out, arrays)


def _write_hdf5(arrays: dict[str, np.ndarray], target: Path) -> None:
    total = sum(values.nbytes for values in arrays.values())
    with _atomic_hdf5(target) as hdf5, tqdm(total=total, **_shown(target)) as bar:
        for name, values in arrays.items():
            stored = hdf5.create_dataset(name, values.shape, values.dtype)
            rows = max(1, _BLOCK_BYTES // max(1, values[:1].nbytes))
            for start in range(0, len(values), rows):
                stored[start : start + rows] = values[start : start + rows]
                bar.update(values[start : start + rows].nbytes)


@contextmanager
def _atomic_hdf5(target: Path) -> Generator[Any]:
    """An HDF5 file to write, which gets its name when the block ends without an error."""
    import h5py

    # HDF5 also reads what it writes, so it opens the temporary file itself, by its name.
    with atomic_file(target) as file, h5py.File(file.name, "w", locking="best-effort") as hdf5:
        yield hdf5


def _write_minari(recording: Recording, target: Path) -> None:
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    replaced = target.with_name(f".{target.name}.{os.getpid()}.old")
    try:
        (temporary / "data").mkdir(parents=True)
        episodes = _write_episodes(recording, temporary / "data" / MAIN_FILE)
        metadata = _minari_metadata(recording, target, episodes)
        with atomic_file(temporary / "data" / METADATA) as file:
            file.write(json.dumps(metadata, indent=2).encode())
        if target.exists():
            target.rename(replaced)
        temporary.rename(target)
        sync_folder(target.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        shutil.rmtree(replaced, ignore_errors=True)


def _write_episodes(recording: Recording, path: Path) -> int:
    """Write each episode as a group of its own; returns how many there are."""
    rewards, successors = recording.rewards, recording.next_observations
    if rewards is None or successors is None:
        raise ValueError("rows in Minari's layout have rewards and successors; `to_minari` lays them out")
    starts, stops = trajectories.spans(recording.ends)
    shown = _shown(path) | {"unit": " episodes", "unit_scale": False}
    progress = tqdm(zip(starts, stops, strict=True), total=len(starts), **shown)
    with _atomic_hdf5(path) as hdf5:
        for k, (start, stop) in enumerate(progress):
            group = hdf5.create_group(f"episode_{k}")
            group.attrs.update(id=k, total_steps=int(stop - start))
            steps = slice(start, stop)
            last = successors[stop - 1 : stop]
            group["observations"] = np.concatenate([recording.observations[steps], last])
            group["actions"] = recording.actions[steps]
            group["rewards"] = np.asarray(rewards[steps], np.float64)
            group["terminations"] = recording.terminals[steps]
            group["truncations"] = recording.timeouts[steps] & ~recording.terminals[steps]
    return len(starts)


def _minari_metadata(recording: Recording, target: Path, episodes: int) -> dict:
    bounded = bool((np.abs(recording.actions) <= 1).all())
    return {
        "dataset_id": minari_id(target),
        "minari_version": _MINARI_VERSION,
        "data_format": "hdf5",
        "jpeg_encoding": False,
        "total_episodes": episodes,
        "total_steps": len(recording),
        "observation_space": _space(recording.observations, None),
        "action_space": _space(recording.actions, 1.0 if bounded else None),
        "description": f"converted from {recording.path.name} by offlow",
    }


def minari_id(target: Path) -> str:
    """The name under which Minari finds a dataset's folder: its path below Minari's own folder, or its last part."""
    root = default_folder().resolve()
    folder = target.resolve()
    return str(folder.relative_to(root)) if folder.is_relative_to(root) else folder.name


def _space(values: np.ndarray, bound: float | None) -> str:
    """The description of a Box, as Minari writes it."""
    images = values.dtype == np.uint8
    low, high = (0, 255) if images else (-np.inf, np.inf) if bound is None else (-bound, bound)
    shape = values.shape[1:]
    return json.dumps(
        {
            "type": "Box",
            "dtype": str(values.dtype),
            "shape": list(shape),
            "low": np.full(shape, low).tolist(),
            "high": np.full(shape, high).tolist(),
        }
    )


def _shown(target: Path) -> dict:
    return {
        "desc": f"writing {target.name}",
        "unit": "B",
        "unit_scale": True,
        "delay": 2,
        "leave": False,
        "disable": None,
    }
