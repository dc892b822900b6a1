"""Checkpoints of a run: single files, complete or absent, checked when read, free of pickle."""

import errno
import hashlib
import json
import re
import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import IO, Any, BinaryIO

import numpy as np

from offlow_core.errors import UserError
from offlow_core.files import atomic_file

FORMAT_VERSION = 1
FORMAT, META = "format.json", "meta.json"
STORABLE_KINDS = "?biufc"
"""Kinds of dtype that the npy format keeps: bool, integers, floats, complex numbers."""

_FILE_NAME = re.compile(r"(\d+)(-permanent)?\.npz")


class CheckpointError(UserError, RuntimeError):
    """A checkpoint that could not be written or read; the message names the file and what to do."""


class DamagedCheckpointWarning(UserWarning):
    """A damaged checkpoint was passed over for an older one."""


@dataclass(frozen=True)
class Checkpoint:
    """What was saved: arrays by name, JSON values beside them, and the step that they belong to."""

    step: int
    arrays: dict[str, np.ndarray]
    meta: dict[str, Any]
    path: Path


class CheckpointFolder:
    """Checkpoints of one run in one folder, of which the last `keep` and all permanent ones stay.

    A file is an uncompressed npz archive, one entry `<name>.npy` per array, with the step and the JSON values in
    `meta.json`, and a format version and the SHA-256 of every other entry in `format.json`.
    """

    def __init__(self, path: Path, keep: int = 2):
        if keep < 1:
            raise ValueError(f"keep must be at least 1 checkpoint, got {keep}")
        self.path = path
        self.keep = keep

    def save(
        self, step: int, arrays: Mapping[str, np.ndarray], meta: Mapping[str, Any], *, permanent: bool = False
    ) -> Path:
        """Write a checkpoint, then remove those that are no longer kept.

        After a CheckpointError (a full disk, say) the earlier checkpoints are all there and nothing new is.
        """
        if step < 0:
            raise ValueError(f"the step of a checkpoint counts updates from 0, got {step}")
        arrays = {name: np.asarray(array) for name, array in arrays.items()}
        _check_storable(arrays)
        path = self.path / f"{step:09d}{'-permanent' if permanent else ''}.npz"
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            with atomic_file(path) as file:
                _write(file, arrays, json.dumps({"step": step, "meta": dict(meta)}).encode())
        except OSError as error:
            raise _writing_failed(path, arrays, error) from error
        self._prune(written=path)
        return path

    @staticmethod
    def load(path: Path | str) -> Checkpoint:
        """Read one checkpoint file and verify it; CheckpointError says what is wrong with it."""
        path = Path(path)
        try:
            return _read(path)
        except OSError as error:
            raise CheckpointError(f"{path} cannot be read: {error.strerror or error}") from error
        except CheckpointError:
            raise
        except Exception as error:  # damaged bytes can fail in every layer of the zip, npy and JSON readers
            reason = str(error) or type(error).__name__
            raise CheckpointError(f"{path} is {_damage(path)} ({reason})") from error

    def steps(self) -> list[int]:
        """Steps of the checkpoints in the folder, damaged ones among them, oldest first."""
        return [step for step, _ in self._files()]

    def latest(self, up_to: int | None = None) -> Checkpoint | None:
        """The newest checkpoint (of step `up_to` at most) that can be read; damaged ones are warned of.

        None if there never was one, CheckpointError if none that there is can be read.
        """
        failures = []
        for step, path in reversed(self._files()):
            if up_to is not None and step > up_to:
                continue
            try:
                checkpoint = self.load(path)
            except CheckpointError as error:
                failures.append(str(error))
                continue
            for failure in failures:
                warnings.warn(f"{failure}; using {path.name} instead", DamagedCheckpointWarning, stacklevel=2)
            return checkpoint
        if failures:
            raise CheckpointError("no checkpoint of the run can be read, start it anew: " + "; ".join(failures))
        return None

    def at(self, step: int) -> Checkpoint:
        """The checkpoint of this step; CheckpointError if there is none or it cannot be read."""
        failures = []
        for path in [path for found, path in self._files() if found == step]:
            try:
                return self.load(path)
            except CheckpointError as error:
                failures.append(error)
        if failures:
            raise CheckpointError(f"{failures[0]}; the steps with a checkpoint are {self.steps()}")
        raise CheckpointError(f"{self.path} has no checkpoint of step {step}, only of {self.steps()}")

    def truncate_after(self, step: int) -> None:
        """Remove the checkpoints of later steps."""
        for later, path in self._files():
            if later > step:
                path.unlink()

    def _files(self) -> list[tuple[int, Path]]:
        if not self.path.exists():
            return []
        found = ((_FILE_NAME.fullmatch(path.name), path) for path in self.path.iterdir())
        return sorted((int(match[1]), path) for match, path in found if match)

    def _prune(self, written: Path) -> None:
        # Left by a process that was killed while it wrote.
        for temporary in self.path.glob(".*.tmp"):
            temporary.unlink(missing_ok=True)
        passing = [path for _, path in self._files() if not path.stem.endswith("-permanent")]
        for path in passing[: -self.keep]:
            if path != written:
                path.unlink()


def _check_storable(arrays: Mapping[str, np.ndarray]) -> None:
    for name, array in arrays.items():
        if array.dtype.kind not in STORABLE_KINDS:
            raise TypeError(
                f"array {name!r} has dtype {array.dtype}, which a checkpoint cannot hold; "
                "store numbers or bool (other types as their bits, text as JSON values)"
            )
        if "\0" in name:
            raise ValueError(f"the name of an array must not contain a zero character, got {name!r}")


def _write(file: BinaryIO, arrays: Mapping[str, np.ndarray], meta: bytes) -> None:
    digests = {}
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name, array in arrays.items():
            # ZipInfo without a date: equal contents are equal files.
            with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as entry:
                hashing = _HashingWriter(entry)
                np.lib.format.write_array(hashing, array, allow_pickle=False)
            digests[f"{name}.npy"] = hashing.sha256.hexdigest()
        digests[META] = hashlib.sha256(meta).hexdigest()
        archive.writestr(zipfile.ZipInfo(META), meta)
        archive.writestr(zipfile.ZipInfo(FORMAT), json.dumps({"version": FORMAT_VERSION, "sha256": digests}))


class _HashingWriter:
    """Passes bytes on to a file and takes their SHA-256 on the way."""

    def __init__(self, file: IO[bytes]):
        self.file = file
        self.sha256 = hashlib.sha256()

    def write(self, content: bytes) -> int:
        self.sha256.update(content)
        return self.file.write(content)


def _writing_failed(path: Path, arrays: Mapping[str, np.ndarray], error: OSError) -> CheckpointError:
    size_mb = sum(array.nbytes for array in arrays.values()) / 1e6
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return CheckpointError(
            f"no space left to write {path} ({size_mb:.1f} MB): the checkpoints before it are intact, nothing of this "
            "one remains; free space or keep fewer checkpoints, then start again with --resume"
        )
    return CheckpointError(f"{path} ({size_mb:.1f} MB) could not be written: {error}; earlier checkpoints are intact")


def _read(path: Path) -> Checkpoint:
    with zipfile.ZipFile(path) as archive:
        form = json.loads(archive.read(FORMAT))
        if form["version"] != FORMAT_VERSION:
            raise CheckpointError(
                f"{path} has checkpoint format version {form['version']}, expected {FORMAT_VERSION}; "
                "use the offlow-core version that the manifest of the run names"
            )
        body = json.loads(_read_entry(archive, META, form["sha256"]))
        arrays = {
            name.removesuffix(".npy"): _parse_array(_read_entry(archive, name, form["sha256"]))
            for name in form["sha256"]
            if name != META
        }
    return Checkpoint(body["step"], arrays, body["meta"], path)


def _read_entry(archive: zipfile.ZipFile, name: str, digests: Mapping[str, str]) -> bytes:
    """A whole entry, verified before anything interprets it."""
    content = archive.read(name)
    if hashlib.sha256(content).hexdigest() != digests[name]:
        raise ValueError(f"the SHA-256 of {name} is not the recorded one")
    return content


def _parse_array(content: bytes) -> np.ndarray:
    return np.lib.format.read_array(BytesIO(content), allow_pickle=False)


def _damage(path: Path) -> str:
    with path.open("rb") as file:
        start = file.read(4)
    if start != b"PK\x03\x04":
        return "empty" if not start else "no checkpoint or damaged at its start"
    return "damaged" if zipfile.is_zipfile(path) else "truncated"
