"""From folders to the runs that a comparison may use, and those left out, each with its reason."""

import os
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from offlow_core.errors import UserError
from offlow_core.sweeps.errors import SweepError
from offlow_core.sweeps.job_folder import JOB, NOT_STARTED, JobFolder
from offlow_core.training.run_record import RunRecord, UnusableRunError, read_run

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

    def __str__(self) -> str:
        return str(self.path) if self.name is None else f"{self.name}={self.path}"

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

    A NoRunsError where a source does not exist, where there is no run at all, or where a name would have none. A run
    that two sources lead to is the first one's.
    """
    records: dict[str | None, list[RunRecord]] = defaultdict(list)
    left_out: list[LeftOut] = []
    owners: dict[Path, Source] = {}
    jobs: dict[Path, Path] = {}
    for source in sources:
        found = _Folders.below(source.path)
        if source.name is not None and not found.runs:
            raise NoRunsError(
                f"{source}: there is no run directory (a folder with a status.json) in it{_why(found.unreadable)}"
            )
        left_out += [item for item in found.unreadable if item not in left_out]
        jobs |= {folder.resolve(): folder for folder in found.jobs}
        places = {place: path for path in found.runs if (place := path.resolve()) not in owners}
        if source.name is not None and found.runs and not places:
            first = owners[found.runs[0].resolve()]
            raise NoRunsError(f"{source}: all of its runs belong to {first}, which was named before; leave one out")
        owners |= dict.fromkeys(places, source)
        for path in tqdm(places.values(), unit="run", desc=f"reading {source.path}", disable=not progress, leave=False):
            try:
                record = read_run(path)
            except UnusableRunError as error:
                left_out.append(LeftOut(path, str(error)))
            else:
                records[source.name].append(record)
                left_out += [LeftOut(file, reason) for file, reason in record.unusable.items()]
    if not owners:
        raise NoRunsError(f"there is no run directory (a folder with a status.json) in what was named{_why(left_out)}")
    return dict(records), left_out + _without_runs(jobs, owners)


def _why(left_out: Sequence[LeftOut]) -> str:
    return "".join(f"; {item.path} {item.reason}" for item in left_out)


@dataclass(frozen=True)
class _Folders:
    """What lies at or below a folder, each by its path."""

    runs: Sequence[Path]
    """Run directories, which are not looked into, and what is left of some."""
    jobs: Sequence[Path]
    """Of a sweep."""
    unreadable: Sequence[LeftOut]

    @classmethod
    def below(cls, root: Path) -> "_Folders":
        if not root.is_dir():
            raise NoRunsError(f"{root} is no folder; name run directories, or folders that have some below them")
        runs, jobs, traces, unreadable, visited = [], [], [], [], set()

        def note(error: OSError) -> None:
            unreadable.append(LeftOut(Path(error.filename), f"cannot be read: {error.strerror}"))

        for folder, folders, files in os.walk(root, onerror=note, followlinks=True):
            place = os.path.realpath(folder)
            if place in visited:  # a link that leads back
                folders.clear()
                continue
            visited.add(place)
            folders.sort()
            if STATUS in files:
                folders.clear()
                runs.append(Path(folder))
            elif JOB in files:
                jobs.append(Path(folder))
            elif TRACES.intersection(files) or "checkpoints" in folders:
                traces.append(Path(folder))
        return cls(sorted(runs + _innermost(traces, runs)), jobs, unreadable)


def _innermost(traces: Sequence[Path], runs: Sequence[Path]) -> list[Path]:
    """Those of the folders with traces that have neither runs nor other such folders below them."""
    outer = {parent for path in [*runs, *traces] for parent in path.parents} if traces else set()
    return [path for path in traces if path not in outer]


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
                reason = f"made with {_words(older)}; other runs in {record.suite} with {others}"
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
