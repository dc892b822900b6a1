"""A run is a directory: configuration, manifest, status, tables and checkpoints of one training run."""

import json
import os
import re
import shutil
import socket
import traceback
import weakref
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from itertools import chain, count
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np

from offlow_core.claim import claim, is_claimed
from offlow_core.errors import UserError
from offlow_core.files import write_json
from offlow_core.training.checkpoints import CheckpointFolder
from offlow_core.training.tables import Table, read_table

State = Literal["running", "finished", "failed", "interrupted"]
Kind = Literal["train", "eval", "episodes", "timing"]

MetricKind = Literal["train", "eval", "timing"]
"""The tables with one row per step."""
TABLES: tuple[Kind, ...] = ("train", "eval", "episodes", "timing")
TRACEBACK_LINES = 30


class RunDirectoryError(UserError, RuntimeError):
    """A run directory that is incomplete, damaged, or in use by another process."""


class RunDirectory:
    """The files of one run, in `<root>/<task>/<algorithm>/<seed>-<time>/`.

    Everything that depends on the wall clock is in `timing.csv` and `status.json`; the other tables of a run that was
    killed and resumed equal those of a run that never was. One process at a time may write: `create` and
    `find_resumable` return the run claimed, `open` does not (reading needs no claim).
    """

    def __init__(self, path: Path, keep_checkpoints: int = 2):
        self.path = path
        self.checkpoints = CheckpointFolder(path / "checkpoints", keep=keep_checkpoints)
        self._tables = {kind: Table(path / f"{kind}.csv") for kind in TABLES}
        self._claim: weakref.finalize | None = None

    @classmethod
    def create(
        cls,
        root: Path | str,
        task: str,
        algorithm: str,
        seed: int,
        config: Mapping[str, Any],
        manifest: Mapping[str, Any],
        *,
        keep_checkpoints: int = 2,
    ) -> Self:
        """Make a new, claimed run directory of its own, even if two processes ask in the same second."""
        run = cls(_new_folder(_family(root, task, algorithm), seed), keep_checkpoints)
        try:
            run.claim()
            write_json(run.path / "config.json", config)
            write_json(run.path / "manifest.json", manifest)
            run.set_status("running")
        except BaseException:
            shutil.rmtree(run.path)
            raise
        return run

    @classmethod
    def open(cls, path: Path | str, *, keep_checkpoints: int = 2) -> Self:
        """An existing run, for reading (`claim` it before writing)."""
        run = cls(Path(path), keep_checkpoints)
        if not (run.path / "status.json").is_file():
            raise RunDirectoryError(
                f"{path} is no run directory: expected a status.json in it; name a folder like "
                "runs/<task>/<algorithm>/<seed>-<time>"
            )
        return run

    @property
    def config(self) -> dict[str, Any]:
        """The resolved configuration that the run was started with."""
        return self._read_json("config.json")

    @property
    def manifest(self) -> dict[str, Any]:
        """What the run was made with: versions, revision, device, dataset, semantics."""
        return self._read_json("manifest.json")

    @property
    def status(self) -> dict[str, Any]:
        """State, error, time stamps, process and timing summary, as last written by `set_status`."""
        return self._read_json("status.json")

    def log_train(self, step: int, metrics: Mapping[str, Any]) -> None:
        """Add a row of training metrics to `train.csv`."""
        self._tables["train"].append(step, [metrics])

    def log_eval(self, step: int, metrics: Mapping[str, Any]) -> None:
        """Add the means of one evaluation to `eval.csv`."""
        self._tables["eval"].append(step, [metrics])

    def log_episodes(self, step: int, rows: Sequence[Mapping[str, Any]]) -> None:
        """Add one row per evaluated episode to `episodes.csv`."""
        self._tables["episodes"].append(step, rows)

    def log_timing(self, step: int, values: Mapping[str, Any]) -> None:
        """Add wall-clock numbers, which no other table may hold, to `timing.csv`."""
        self._tables["timing"].append(step, [values])

    def read(self, kind: Kind) -> dict[str, np.ndarray]:
        """Columns of one of the four tables; only an empty `step` if nothing was logged yet."""
        path = self._tables[kind].path
        try:
            return read_table(path) if path.exists() else {"step": np.zeros(0, np.int64)}
        except OSError as error:
            raise RunDirectoryError(f"{path} cannot be read: {error}") from error

    def truncate_after(self, step: int) -> None:
        """Forget the rows of later steps."""
        for table in self._tables.values():
            table.truncate_after(step)

    def restart(self, config: Mapping[str, Any]) -> None:
        """Note that the run goes on, with this configuration from now on."""
        write_json(self.path / "config.json", config)
        self.set_status("running")

    def set_status(self, state: State, *, error: BaseException | None = None, **details: Any) -> None:
        """Record the state of the run; `details` (JSON values, such as a timing summary) stay until overwritten.

        An `error` whose recording fails too (the disk is full) gets a note of that; the caller raises it anyway.
        """
        path, now = self.path / "status.json", datetime.now(UTC).isoformat()
        again = path.exists()
        status: dict[str, Any] = {"state": state} | (self.status if again else {"started": now, "resumed": []})
        if again and state == "running":
            status["resumed"].append(now)
        status |= {
            "state": state,
            "error": None if error is None else _describe(error),
            "finished": None if state == "running" else now,
            "pid": os.getpid(),
            "host": socket.gethostname(),
        }
        try:
            write_json(path, status | details)
        except OSError as failure:
            if error is None:
                raise
            error.add_note(f"{path} could not be updated: {failure}")

    def claim(self) -> None:
        """Become the one process that writes here, until `close` or the end of the process, however it ends."""
        if self._claim is not None:
            return
        # A lock of the operating system, because a process number alone may by now belong to another program.
        descriptor = claim(self.path / "lock", patience_s=0.5)
        if descriptor is None:
            status = self.status
            raise RunDirectoryError(
                f"{self.path} is being written by process {status['pid']} on {status['host']}; wait for it or stop it"
            )
        self._claim = weakref.finalize(self, os.close, descriptor)

    def is_in_use(self) -> bool:
        """Whether a live process has claimed the run; a run "running" and not in use was killed."""
        return is_claimed(self.path / "lock")

    def close(self) -> None:
        """Give the claim up."""
        if self._claim is not None:
            self._claim()
            self._claim = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _read_json(self, name: str) -> dict[str, Any]:
        path = self.path / name
        try:
            found = json.loads(path.read_bytes())
        except (OSError, ValueError, RecursionError) as error:
            raise RunDirectoryError(f"{path} cannot be read as JSON: {error}") from error
        if not isinstance(found, dict):
            raise RunDirectoryError(f"{path}: expected a JSON object, got {type(found).__name__}; the file is damaged")
        return found


def find_resumable(
    root: Path | str,
    task: str,
    algorithm: str,
    seed: int,
    config: Mapping[str, Any],
    *,
    ignore: Collection[str] = (),
    keep_checkpoints: int = 2,
) -> RunDirectory | None:
    """The newest unfinished run of this task, algorithm and seed with an equal configuration, claimed; or None.

    `ignore` names the top-level keys of the configuration that may differ. A RunDirectoryError says that the run is
    still being written by another process.
    """
    wanted = _comparable(config, ignore)
    candidates = []
    for path in _family(root, task, algorithm).glob(f"{seed}-*"):
        # A folder without a status belongs to a process that was killed, or still is busy, creating it.
        if (path / "status.json").exists():
            run = RunDirectory.open(path, keep_checkpoints=keep_checkpoints)
            status = run.status
            if status["state"] != "finished" and _comparable(run.config, ignore) == wanted:
                candidates.append((status["started"], path.name, run))
    if not candidates:
        return None
    *_, newest = max(candidates, key=lambda candidate: candidate[:2])
    newest.claim()
    return newest


def _family(root: Path | str, task: str, algorithm: str) -> Path:
    """Folder of all runs of an algorithm on a task; names that are no file names (with slashes, say) are adapted."""
    return Path(root, *(re.sub(r"[^\w.+=-]|^\.+", "_", name, flags=re.ASCII) for name in (task, algorithm)))


def _new_folder(family: Path, seed: int) -> Path:
    try:
        family.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunDirectoryError(f"{family}, the folder for runs, cannot be made: {error}; see --save_dir") from error
    stem = f"{seed}-{datetime.now().astimezone():%Y%m%d-%H%M%S}"
    names = chain([stem], (f"{stem}-{number}" for number in count(2)))
    return next(family / name for name in names if _made(family / name))


def _made(path: Path) -> bool:
    """Whether this call, and no other process, made the folder."""
    try:
        path.mkdir()
    except FileExistsError:
        return False
    return True


def _describe(error: BaseException) -> dict[str, str]:
    lines = "".join(traceback.format_exception(error)).splitlines()
    return {
        "type": type(error).__name__,
        "message": str(error),
        "traceback": "\n".join(lines[-TRACEBACK_LINES:]),
    }


def _comparable(config: Mapping[str, Any], ignore: Collection[str]) -> dict[str, Any]:
    """The configuration as JSON gives it back (tuples are lists), without the keys to ignore."""
    return {key: value for key, value in json.loads(json.dumps(dict(config))).items() if key not in ignore}
