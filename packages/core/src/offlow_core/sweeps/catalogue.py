"""The studies that come with the core, and what the words on a command line ask for."""

from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path

from offlow_core.sweeps.errors import SweepError
from offlow_core.sweeps.study import Study, StudyTable, read_study
from offlow_core.training.option_tokens import near
from offlow_core.wording import counted

SUFFIX = ".toml"


@cache
def published_studies() -> dict[str, Study]:
    """The studies of published papers, by name."""
    folder = files("offlow_core.sweeps") / "studies"
    found = [read_study(file) for file in folder.iterdir() if file.name.endswith(SUFFIX)]
    return {study.name: study for study in sorted(found, key=lambda study: study.name)}


def find_studies(targets: Sequence[str]) -> list[Study]:
    """The studies of what the targets mean, each once, and all published ones without a target; see `find_tables`."""
    if not targets:
        return list(published_studies().values())
    found = [_find(target)[0] for target in targets]
    return [study for i, study in enumerate(found) if study not in found[:i]]


def find_tables(target: str) -> list[StudyTable]:
    """The tables that `PAPER`, `PAPER/TABLE`, `FILE.toml` or `FILE.toml/TABLE` means; SweepError names the nearest."""
    return _find(target)[1]


def _find(target: str) -> tuple[Study, list[StudyTable]]:
    path, suffix, rest = target.partition(SUFFIX)
    if suffix:
        study, wanted = read_study(Path(path + suffix)), rest.removeprefix("/")
    else:
        name, _, wanted = target.partition("/")
        studies = published_studies()
        if name not in studies:
            raise SweepError(f"no study is called {name!r}; {near(name, studies)} (a file of your own ends in .toml)")
        study = studies[name]
    if not wanted:
        return study, list(study.tables.values())
    if wanted not in study.tables:
        raise SweepError(f"{study.name} has no table {wanted!r}; {near(wanted, study.tables)}")
    return study, [study.tables[wanted]]


def overview(studies: Sequence[Study]) -> str:
    """Papers and tables with how many tasks and runs they have."""
    lines = []
    for study in studies:
        lines.append(f"{study.name}: {study.title}" + (f" ({study.source})" if study.source else ""))
        width = max(len(table.path) for table in study.tables.values())
        for table in study.tables.values():
            runs = len(table.tasks) * len(table.agents) * table.seeds
            size = f"{counted(len(table.tasks), 'task')}, {counted(runs, 'run')}"
            lines.append(f"  {table.path:<{width}}  {size:<20} {', '.join(table.agents)}: {table.title}")
    return "\n".join(lines)
