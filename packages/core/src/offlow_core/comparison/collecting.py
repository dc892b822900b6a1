"""From folders to the runs that a comparison may use, and those left out, each with its reason."""

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from tqdm import tqdm

from offlow_core.comparison.run_record import RunRecord, UnusableRunError, read_run
from offlow_core.errors import UserError

STATUS = "status.json"
TRACES = frozenset({"config.json", "manifest.json", "eval.csv", "train.csv", "checkpoints"})
"""Any of these without a status is what is left of a run."""


class NoRunsError(UserError, ValueError):
    """Nothing to compare."""


@dataclass(frozen=True)
class LeftOut:
    """A run directory that does not count."""

    path: Path
    reason: str


@dataclass(frozen=True)
class Source:
    """Where to look for runs, and what its methods are to be called; no name: by their agent and options."""

    path: Path
    name: str | None = None

    @classmethod
    def parse(cls, text: str) -> "Source":
        """`PATH`, or `NAME=PATH`; a path that exists is one even with an equals sign in it."""
        name, separator, path = text.partition("=")
        if Path(text).exists() or not separator:
            return cls(Path(text))
        if not name or not path:
            raise NoRunsError(f"expected FOLDER or NAME=FOLDER, got {text!r}")
        return cls(Path(path), name)


def collect(
    sources: Iterable[Source], *, progress: bool = False
) -> tuple[dict[str | None, list[RunRecord]], list[LeftOut]]:
    """All finished runs at or below the sources, by the name given to their source; and what is left out.

    A NoRunsError where a source does not exist, or where there is no run at all. A run that two sources lead to is
    the first one's.
    """
    records: dict[str | None, list[RunRecord]] = defaultdict(list)
    left_out, seen = [], set()
    for source in sources:
        paths = list(_run_folders(source.path))
        for path in tqdm(paths, unit="run", desc=f"reading {source.path}", disable=not progress, leave=False):
            if (place := path.resolve()) in seen:
                continue
            seen.add(place)
            try:
                records[source.name].append(read_run(path))
            except UnusableRunError as error:
                left_out.append(LeftOut(path, str(error)))
    if not seen:
        raise NoRunsError("there is no run directory (a folder with a status.json) in what was named")
    return dict(records), left_out


def _run_folders(root: Path) -> Iterator[Path]:
    """Run directories at or below `root`, in the order of their names; does not look into them any further."""
    if not root.is_dir():
        raise NoRunsError(f"{root} is no folder; name run directories, or folders that have some below them")
    visited = set()
    for folder, folders, files in os.walk(root, onerror=_refuse, followlinks=True):
        place = os.path.realpath(folder)
        if place in visited:  # a link that leads back
            folders.clear()
            continue
        visited.add(place)
        folders.sort()
        if STATUS in files or TRACES.intersection(files) or "checkpoints" in folders:
            folders.clear()
            yield Path(folder)


def _refuse(error: OSError) -> NoReturn:
    raise NoRunsError(f"{error.filename} cannot be read: {error.strerror}; leave it out or make it readable")


def without_repetitions(
    methods: Mapping[str, Sequence[RunRecord]], *, mix_versions: bool = False
) -> tuple[dict[str, list[RunRecord]], list[LeftOut]]:
    """One run per method, task and seed: the newest; none of another version than the method's newest one."""
    kept: dict[str, list[RunRecord]] = {}
    left_out: list[LeftOut] = []
    for name, records in methods.items():
        newest = max((record.versions for record in records), key=_version_key)
        chosen: dict[tuple[str, int], RunRecord] = {}
        for record in sorted(records, key=lambda record: record.started, reverse=True):
            same = chosen.get((record.task, record.seed))
            if record.versions != newest and not mix_versions:
                reason = f"made with {_words(record.versions)}; others of {name} with {_words(newest)}"
            elif same is not None:
                relation = "of which it is a copy" if same.started == record.started else "which is newer"
                reason = f"the same method, task and seed ({record.seed}) as {same.path}, {relation}"
            else:
                chosen[record.task, record.seed] = record
                continue
            left_out.append(LeftOut(record.path, reason))
        kept[name] = sorted(chosen.values(), key=lambda record: (record.task, record.seed))
    return kept, left_out


def _version_key(versions: Mapping[str, str]) -> list[tuple[str, list[int]]]:
    """Numbers are compared as numbers; what is none (a suffix of a version) comes before them."""
    parts = {name: text.split(".") for name, text in versions.items()}
    return [
        (name, [int(part) if part.isdigit() else -1 for part in numbers]) for name, numbers in sorted(parts.items())
    ]


def _words(versions: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {text}" for name, text in sorted(versions.items()))
