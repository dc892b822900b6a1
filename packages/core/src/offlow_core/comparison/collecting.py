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
from offlow_core.sweeps.job_folder import JOB, JobFolder

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
    for source in sources:
        paths, jobs = _run_folders(source.path)
        left_out += _without_runs(jobs, paths)
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


def _without_runs(jobs: Iterable[Path], runs: Iterable[Path]) -> list[LeftOut]:
    """The jobs of a sweep that have no run directory, because they did not come so far or were not started."""
    with_runs = {parent for run in runs for parent in run.parents}
    return [LeftOut(job, f"no run directory; {_state(job)}") for job in jobs if job not in with_runs]


def _state(job: Path) -> str:
    try:
        status = JobFolder.open(job).status()
    except SweepError as error:
        return str(error)
    return "the job was not started" if status.state == "not started" else f"the job: {status.state}: {status.reason}"


def _refuse(error: OSError) -> NoReturn:
    raise NoRunsError(f"{error.filename} cannot be read: {error.strerror}; leave it out or make it readable")


def without_repetitions(
    methods: Mapping[str, Sequence[RunRecord]], *, mix_versions: bool = False
) -> tuple[dict[str, list[RunRecord]], list[LeftOut]]:
    """One run per method, task and seed: the newest; none of older versions than others were made with."""
    newest = _newest_versions(record for records in methods.values() for record in records)
    kept: dict[str, list[RunRecord]] = {}
    left_out: list[LeftOut] = []
    for name, records in methods.items():
        chosen: dict[tuple[str, int], RunRecord] = {}
        for record in sorted(records, key=lambda record: record.started, reverse=True):
            same = chosen.get((record.task, record.seed))
            older = {package: text for package, text in record.versions.items() if text != newest[package]}
            if older and not mix_versions:
                reason = (
                    f"made with {_words(older)}; others with {_words({package: newest[package] for package in older})}"
                )
            elif same is not None:
                relation = "of which it is a copy" if same.started == record.started else "which is newer"
                reason = f"the same method, task and seed ({record.seed}) as {same.path}, {relation}"
            else:
                chosen[record.task, record.seed] = record
                continue
            left_out.append(LeftOut(record.path, reason))
        if chosen:
            kept[name] = sorted(chosen.values(), key=lambda record: (record.task, record.seed))
    return kept, left_out


def _newest_versions(records: Iterable[RunRecord]) -> dict[str, str]:
    """Of each package; numbers are compared as numbers, and what is none (a suffix) comes before them."""
    newest: dict[str, str] = {}
    for record in records:
        for package, text in record.versions.items():
            newest[package] = max(newest.get(package, text), text, key=_version_key)
    return newest


def _version_key(version: str) -> list[int]:
    return [int(part) if part.isdigit() else -1 for part in version.split(".")]


def _words(versions: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {text}" for name, text in sorted(versions.items()))
