"""A whole collection: from the settings to the two npz files and what there is to say about them."""

import contextlib
import hashlib
import sys
import time
from collections import Counter
from collections.abc import Generator
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tqdm import tqdm

from offlow_core.data.collect.jobs import DISK_FULL, Job, run_jobs
from offlow_core.data.collect.npz_output import write_joined
from offlow_core.data.collect.parts import PartsFolder
from offlow_core.data.collect.protocol import CollectError, Protocol
from offlow_core.files import atomic_file, write_json
from offlow_core.rendering import require_rendering

LIBRARIES = ("offlow-core", "ogbench", "mujoco", "gymnasium", "dm-control", "numpy", "scipy")


@dataclass(frozen=True)
class Collection:
    """What shall be collected, and into which file.

    `out` names the training file; validation episodes go to the same name with `-val`. They are numbered on after the
    training episodes. `shadow_size` (None: the environment's own) makes rendered frames faster and slightly coarser.
    """

    protocol: Protocol
    out: Path
    episodes: int
    val_episodes: int
    episode_rows: int
    seed: int
    shadow_size: int | None = None

    def __post_init__(self) -> None:
        for name, least in (("episodes", 1), ("val_episodes", 1), ("episode_rows", 2)):
            if getattr(self, name) < least:
                raise CollectError(f"{name} must be at least {least}, got {getattr(self, name)}")
        if not 0 <= self.seed < 2**32:
            raise CollectError(f"seed must be within 0 and 2**32 - 1, got {self.seed}")
        if self.shadow_size is not None and (not self.protocol.visual or self.shadow_size < 1):
            raise CollectError(f"shadow_size must be positive and needs a visual-... set, got {self.shadow_size}")
        if self.out.suffix != ".npz" or str(self.out).count(".npz") != 1:
            # The ogbench package finds the validation file by replacing each ".npz" of the path.
            raise CollectError(f"--out must contain '.npz' once, as the file's suffix, got {self.out}")

    @property
    def val_out(self) -> Path:
        """The validation file."""
        return self.out.with_name(f"{self.out.stem}-val.npz")

    @property
    def provenance_file(self) -> Path:
        """The JSON file beside the data that says how they were made."""
        return self.out.with_suffix(".json")

    @property
    def parts(self) -> PartsFolder:
        """Where finished episodes are kept until all are there."""
        return PartsFolder(self.out.with_name(f"{self.out.name}.parts"))

    def settings(self) -> dict[str, Any]:
        """All that decides about the arrays."""
        return {
            "dataset": self.protocol.dataset,
            "episodes": self.episodes,
            "val_episodes": self.val_episodes,
            "episode_rows": self.episode_rows,
            "seed": self.seed,
            "shadow_size": self.shadow_size,
            "versions": {name: version(name) for name in LIBRARIES},
        }


@dataclass(frozen=True)
class Outcome:
    """A finished collection: its size, its counts, how many episodes were there already, and this call's wall time."""

    rows: int
    transitions: int
    counts: Counter[str]
    continued_from: int
    elapsed_s: float


def collect(collection: Collection, *, workers: int, overwrite: bool = False, progress: bool = True) -> Outcome:
    """Collect what is missing and write the files.

    Episodes that an interrupted call with equal settings has finished are kept and used.

    Raises:
        CollectError: with the reason and what to do; finished episodes stay.
    """
    started = time.monotonic()
    _refuse_existing(collection, overwrite)
    if collection.protocol.visual:
        require_rendering()
    parts = collection.parts
    with _disk_errors_explained(parts):
        with parts.locked():
            parts.open(collection.settings(), discard=overwrite)
            finished = parts.finished()
            continued_from = len(finished)
            _collect_missing(collection, finished, workers, progress)
            counts = sum(finished.values(), Counter())
            _write_files(collection, counts)
        parts.remove()
    episodes = collection.episodes + collection.val_episodes
    return Outcome(
        rows=episodes * collection.episode_rows,
        transitions=episodes * (collection.episode_rows - 1),
        counts=counts,
        continued_from=continued_from,
        elapsed_s=time.monotonic() - started,
    )


def _refuse_existing(collection: Collection, overwrite: bool) -> None:
    existing = [path for path in (collection.out, collection.val_out) if path.exists()]
    if existing and not overwrite:
        raise CollectError(f"{existing[0]} exists; give --overwrite to replace it, or another --out")


def _collect_missing(collection: Collection, finished: dict[int, Counter[str]], workers: int, progress: bool) -> None:
    total = collection.episodes + collection.val_episodes
    missing = [episode for episode in range(total) if episode not in finished]
    job = Job(
        protocol=collection.protocol,
        episode_rows=collection.episode_rows,
        seed=collection.seed,
        parts=collection.parts.path,
        shadow_size=collection.shadow_size,
    )
    bar = tqdm(
        desc=collection.protocol.dataset,
        total=total * collection.episode_rows,
        initial=len(finished) * collection.episode_rows,
        unit="step",
        unit_scale=True,
        disable=not progress,
        mininterval=0.5 if sys.stderr.isatty() else 30,
        smoothing=0.05,
    )
    with bar:

        def episode_done(episode: int, counts: Counter[str]) -> None:
            finished[episode] = counts
            bar.set_postfix_str(f"{len(finished)}/{total} episodes", refresh=False)

        run_jobs(job, missing, workers, on_rows=bar.update, on_episode=episode_done)


def _write_files(collection: Collection, counts: Counter[str]) -> None:
    """Write both files completely before either gets its name."""
    parts, train = collection.parts, range(collection.episodes)
    validation = range(collection.episodes, collection.episodes + collection.val_episodes)
    collection.out.parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(collection.out) as train_file, atomic_file(collection.val_out) as val_file:
        write_joined(train_file, parts, train)
        write_joined(val_file, parts, validation)
    provenance = {
        **collection.settings(),
        "protocol": asdict(collection.protocol),
        "counts": dict(sorted(counts.items())),
        "sha256": {path.name: _sha256(path) for path in (collection.out, collection.val_out)},
    }
    write_json(collection.provenance_file, provenance)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def _disk_errors_explained(parts: PartsFolder) -> Generator[None]:
    try:
        yield
    except OSError as error:
        what = "the disk is full" if error.errno in DISK_FULL else str(error)
        kept = f"Finished episodes are kept in {parts.path}; the same command continues."
        raise CollectError(f"cannot write the data set: {what}. {kept}") from error
