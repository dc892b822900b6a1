"""From folders to the runs that a comparison may use, and those left out, each with its reason."""

import os
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from tqdm import tqdm

from offlow_core.comparison.run_record import RunRecord, UnusableRunError, read_run
from offlow_core.errors import UserError
from offlow_core.sweeps.errors import SweepError
from offlow_core.sweeps.job_folder import JOB, NOT_STARTED, JobFolder

STATUS = "status.json"
TRACES = frozenset({"config.json", "manifest.json", "eval.csv", "train.csv", "checkpoints"})
"""Any of these without a status is what is left of a run."""


class NoRunsError(UserError, ValueError):
    """Nothing to compare."""


@dataclass(frozen=True)
class LeftOut:
    """A run directory that does not count, or a sweep's job that has none."""

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
    left_out: list[LeftOut] = []
    seen: set[Path] = set()
    jobs: dict[Path, Path] = {}
    for source in sources:
        paths, folders = _run_folders(source.path)
        jobs |= {folder.resolve(): folder for folder in folders}
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
    return dict(records), left_out + _without_runs(jobs, seen)


def _run_folders(root: Path) -> tuple[list[Path], list[Path]]:
    """Run directories at or below `root`, which are not looked into, and folders of a sweep's jobs; both by name."""
    if not root.is_dir():
        raise NoRunsError(f"{root} is no folder; name run directories, or folders that have some below them")
    runs, jobs = [], []
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
            runs.append(Path(folder))
        elif JOB in files:
            jobs.append(Path(folder))
    return runs, jobs


def _without_runs(jobs: Mapping[Path, Path], runs: Iterable[Path]) -> list[LeftOut]:
    """The jobs of a sweep, path as named by resolved path, that have none of the runs, given by resolved paths.

    Those that wait their turn come last: what failed is of more interest.
    """
    if not jobs:
        return []  # the parents of ten thousand runs take their time
    with_runs = {parent for run in runs for parent in run.parents}
    states = {job: _state(job) for place, job in jobs.items() if place not in with_runs}
    return [
        LeftOut(job, f"no run directory: the job is {state}")
        for job, state in sorted(states.items(), key=lambda item: item[1] == NOT_STARTED)
    ]


def _state(job: Path) -> str:
    try:
        status = JobFolder.open(job).status()
    except SweepError as error:
        return f"damaged: {error}"
    return f"{status.state} ({status.reason})" if status.state in ("failed", "interrupted") else status.state


def _refuse(error: OSError) -> NoReturn:
    raise NoRunsError(f"{error.filename} cannot be read: {error.strerror}; leave it out or make it readable")


def without_older_versions(
    groups: Mapping[str | None, Sequence[RunRecord]],
) -> tuple[dict[str | None, list[RunRecord]], list[LeftOut]]:
    """The runs made with the newest versions that a run of their suite was made with, the core's and the package's."""
    newest: dict[tuple[str, str], str] = {}
    for record in (record for records in groups.values() for record in records):
        for package, text in record.versions.items():
            known = newest.setdefault((record.suite, package), text)
            newest[record.suite, package] = max(known, text, key=_version_key)
    kept: dict[str | None, list[RunRecord]] = {}
    left_out: list[LeftOut] = []
    for name, records in groups.items():
        kept[name] = []
        for record in records:
            newer = {package: newest[record.suite, package] for package in record.versions}
            older = {package: text for package, text in record.versions.items() if text != newer[package]}
            if older:
                others = _words({package: newer[package] for package in older})
                reason = f"made with {_words(older)}; other runs in {record.suite} with {others} (--allow versions)"
                left_out.append(LeftOut(record.path, reason))
            else:
                kept[name].append(record)
    return kept, left_out


def without_repetitions(
    methods: Mapping[str, Sequence[RunRecord]],
) -> tuple[dict[str, list[RunRecord]], list[LeftOut]]:
    """One run per method, task and seed: the newest."""
    kept: dict[str, list[RunRecord]] = {}
    left_out: list[LeftOut] = []
    for name, records in methods.items():
        chosen: dict[tuple[str, int], RunRecord] = {}
        for record in sorted(records, key=lambda record: record.started, reverse=True):
            same = chosen.setdefault((record.task, record.seed), record)
            if same is not record:
                relation = "of which it is a copy" if same.started == record.started else "which is newer"
                reason = f"the same method, task and seed ({record.seed}) as {same.path}, {relation}"
                left_out.append(LeftOut(record.path, reason))
        kept[name] = sorted(chosen.values(), key=lambda record: (record.task, record.seed))
    return kept, left_out


def _version_key(version: str) -> list[int]:
    """Numbers are compared as numbers; a version with a suffix comes before the same one without."""
    return [*(int(part) if part.isdigit() else -1 for part in version.split(".")), 0]


def _words(versions: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {text}" for name, text in sorted(versions.items()))
