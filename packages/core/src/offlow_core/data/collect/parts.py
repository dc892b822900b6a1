"""The folder `<out>.parts`: settings of a collection and its finished episodes, one file each, until all are there."""

import contextlib
import fcntl
import json
import os
import shutil
import zipfile
import zlib
from collections import Counter
from collections.abc import Generator
from pathlib import Path
from typing import Any

import numpy as np

from offlow_core.data.collect.episode import Episode
from offlow_core.data.collect.protocol import CollectError
from offlow_core.files import write_json

COUNTS_FIELD = "counts"
DAMAGES = (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, KeyError)


class PartsFolder:
    """Finished episodes of one collection on disk."""

    def __init__(self, path: Path):
        self.path = path

    @property
    def settings_file(self) -> Path:
        """Where the settings are recorded."""
        return self.path / "settings.json"

    def episode_file(self, episode: int) -> Path:
        """Where a finished episode lies."""
        return self.path / f"episode-{episode:06d}.npz"

    def episode_files(self) -> list[Path]:
        """The finished episodes' files, in order."""
        return sorted(self.path.glob("episode-*.npz"))

    def open(self, settings: dict[str, Any], *, discard: bool) -> None:
        """Create the folder, or continue in one that holds episodes of equal settings.

        Raises:
            CollectError: its episodes were collected with other settings and `discard` is false.
        """
        if self.settings_file.exists():
            self._compare(json.loads(self.settings_file.read_text()), settings, discard)
        self.path.mkdir(parents=True, exist_ok=True)
        write_json(self.settings_file, settings)
        for leftover in self.path.glob("*.tmp"):
            leftover.unlink(missing_ok=True)

    def _compare(self, recorded: dict[str, Any], settings: dict[str, Any], discard: bool) -> None:
        keys = sorted(k for k in {*recorded, *settings} if recorded.get(k) != settings.get(k))
        if not keys:
            return
        if discard:
            shutil.rmtree(self.path)
            return
        changes = "; ".join(f"{key}: there {recorded.get(key)}, now {settings.get(key)}" for key in keys)
        raise CollectError(
            f"{self.path} holds episodes that were collected with other settings ({changes}). "
            "Repeat those settings to continue, choose another --out, or give --overwrite to start afresh."
        )

    @contextlib.contextmanager
    def locked(self) -> Generator[None]:
        """Keep a second collection out of this folder."""
        self.path.mkdir(parents=True, exist_ok=True)
        with (self.path / "lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise CollectError(f"another process is collecting into {self.path}; wait for it or stop it") from None
            yield

    def save(self, episode: int, collected: Episode) -> None:
        """Write an episode so that its file is complete or absent, even if two processes write it."""
        target = self.episode_file(episode)
        temporary = target.with_name(f"{target.name}.{os.getpid()}.tmp")
        fields: dict[str, Any] = {**collected.arrays, COUNTS_FIELD: np.array(json.dumps(collected.counts))}
        try:
            with temporary.open("wb") as file:
                np.savez_compressed(file, **fields)
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)

    def finished(self) -> dict[int, Counter[str]]:
        """Counts of each finished episode; a file that cannot be read is deleted, so that it is collected again."""
        counts = {}
        for path in self.episode_files():
            try:
                fields = _read(path)
                counts[int(path.stem.removeprefix("episode-"))] = Counter(json.loads(str(fields[COUNTS_FIELD])))
            except DAMAGES as error:
                print(f"{path} is damaged ({error}) and will be collected again")
                path.unlink()
        return counts

    def arrays(self, episode: int) -> dict[str, np.ndarray]:
        """The rows of a finished episode."""
        fields = _read(self.episode_file(episode))
        del fields[COUNTS_FIELD]
        return fields

    def remove(self) -> None:
        """Delete the folder."""
        shutil.rmtree(self.path)


def _read(path: Path) -> dict[str, np.ndarray]:
    with path.open("rb") as file, np.load(file, allow_pickle=False) as fields:
        return dict(fields)
