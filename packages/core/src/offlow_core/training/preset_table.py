"""Published settings, one row of a CSV file per task."""

import csv
import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources.abc import Traversable

from offlow_core.option_checks import OptionError
from offlow_core.suites import canonical_name


@dataclass(frozen=True)
class PresetTable:
    """Task name -> option name -> text; the column `source` says where a row was published."""

    title: str
    rows: dict[str, dict[str, str]]
    sources: dict[str, str]

    @classmethod
    def read(cls, file: Traversable, title: str) -> "PresetTable":
        """Read a CSV file whose header is `env_name,<option names...>,source`; an empty cell leaves the default."""
        rows, sources = {}, {}
        for row in csv.DictReader(file.read_text(encoding="utf-8").splitlines(), strict=True):
            if None in row or None in row.values():
                raise ValueError(f"{file}: {row['env_name']} has another number of cells than the header")
            name, source = row.pop("env_name"), row.pop("source")
            if name in rows:
                raise ValueError(f"{file}: {name} has two rows")
            rows[name] = {option: text for option, text in row.items() if text}
            sources[name] = source
        return cls(title, rows, sources)

    def settings(self, task: str) -> dict[str, str]:
        """Settings of `task`, which may be a suite's other name for it; `OptionError` if nothing is published."""
        name = canonical_name(task)
        if name not in self.rows:
            raise OptionError(f"no {self.title} for {task!r}; {self._near(name)}")
        return dict(self.rows[name])

    def _near(self, name: str) -> str:
        matches = difflib.get_close_matches(name, self.rows, n=3, cutoff=0.6)
        nearest = f"the nearest published tasks: {', '.join(matches)}; " if matches else ""
        return f"{nearest}leave --preset out to start from the defaults"


def find_table(folder: Traversable, titles: Mapping[tuple[str, str], str], name: str, agent: str) -> PresetTable:
    """The table `<agent>_<name>.csv` of a package's folder; `titles` tells which (name, agent) there are."""
    if (name, agent) not in titles:
        known = ", ".join(f"--preset {preset} --agent {agent}" for preset, agent in titles)
        raise OptionError(f"there is no preset {name!r} for {agent}; there are: {known}")
    return PresetTable.read(folder / f"{agent}_{name}.csv", titles[name, agent])
