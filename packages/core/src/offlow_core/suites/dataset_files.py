"""Files of datasets, whatever the suite."""

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path

from tqdm import tqdm

from offlow_core.data.transitions import Dataset, Transitions
from offlow_core.data.validation import DatasetError


def given_files(train: Path) -> dict[str, Path]:
    """A user's own files by role: the training file, and the validation file if one lies beside it."""
    if train.is_dir():
        raise DatasetError(f"{train}: expected a file (dataset_path), this is a folder.")
    if not train.exists():
        raise DatasetError(f"{train}: there is no such file (dataset_path).")
    validation = train.with_name(f"{train.stem}-val{train.suffix}")
    return {"train": train, "validation": validation} if validation.exists() else {"train": train}


def load_files(source: str, paths: Mapping[str, Path], read: Callable[[Path], Transitions]) -> Dataset:
    """The dataset in these files, by role; `source` says how they were found, for the manifest of a run."""
    parts = {role: read(path) for role, path in paths.items()}
    origin = {
        "source": source,
        "files": [fingerprint(role, path) for role, path in paths.items()],
        "transitions": {role: len(part) for role, part in parts.items()},
    }
    return Dataset(parts["train"], parts.get("validation"), origin)


def fingerprint(role: str, path: Path) -> dict:
    """Role, name, size and SHA-256 of a file, for the manifest of a run."""
    digest = hashlib.sha256()
    size = path.stat().st_size
    bar = tqdm(
        total=size, desc=f"checksum of {path.name}", unit="B", unit_scale=True, delay=2, leave=False, disable=None
    )
    with path.open("rb") as file, bar:
        while block := file.read(1 << 22):
            digest.update(block)
            bar.update(len(block))
    return {"role": role, "name": path.name, "bytes": size, "sha256": digest.hexdigest()}
