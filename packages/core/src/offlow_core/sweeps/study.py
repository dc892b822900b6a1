"""Study files: which tasks, agents and settings make up the tables of a paper, or of one's own comparison."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from offlow_core.braces import expand_braces
from offlow_core.sweeps.errors import SweepError
from offlow_core.sweeps.option_values import flat_options
from offlow_core.training.option_tokens import near

SHARED = {
    "source": str,
    "package": str,
    "command": str,
    "agents": list,
    "label": str,
    "preset": str,
    "tasks": list,
    "seeds": int,
    "batched_seeds": bool,
    "extras": list,
    "options": dict,
    "agent_options": dict,
    "task_options": dict,
}
"""Keys of a table and their types; at the top of a file they hold for all its tables."""
OWN = {"title": str}
REQUIRED = ("package", "agents", "tasks")


@dataclass(frozen=True)
class StudyTable:
    """One table: every agent on every task with a number of seeds. The file's format: docs/reproduce.md."""

    study: str
    name: str
    title: str
    source: str
    package: str
    command: str
    agents: tuple[str, ...]
    label: str | None
    preset: str | None
    tasks: tuple[str, ...]
    seeds: int
    batched_seeds: bool
    extras: tuple[str, ...]
    options: Mapping[str, str]
    agent_options: Mapping[str, Mapping[str, str]]
    task_options: Mapping[str, Mapping[str, str]]
    """By patterns of task names; where several match, the later one counts."""

    @property
    def path(self) -> str:
        """What the table is asked for by."""
        return f"{self.study}/{self.name}"


@dataclass(frozen=True)
class Study:
    """The tables of one file, by name."""

    name: str
    title: str
    source: str
    tables: Mapping[str, StudyTable]


def read_study(file: Traversable | Path) -> Study:
    """Read a study file; SweepError names the file and the entry that is wrong."""
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SweepError(f"{file} cannot be read as a study: {error}") from error
    name = Path(file.name).stem
    _check_keys(content, SHARED | OWN | {"tables": dict}, str(file))
    if not content.get("tables"):
        raise SweepError(f"{file}: expected at least one table, [tables.NAME]; see docs/reproduce.md")
    shared = {key: value for key, value in content.items() if key in SHARED}
    tables = {key: _read_table(name, key, shared, table, f"{file}: {key}") for key, table in content["tables"].items()}
    return Study(name, content.get("title", name), content.get("source", ""), tables)


def _read_table(study: str, name: str, shared: Mapping[str, Any], own: Any, where: str) -> StudyTable:
    if not isinstance(own, Mapping):
        raise SweepError(f"{where}: expected a table, [tables.{name}], got {own!r}")
    _check_keys(own, SHARED | OWN, where)
    entries = {**shared, **own}
    missing = [key for key in REQUIRED if not entries.get(key)]
    if missing:
        raise SweepError(f"{where}: {missing[0]} is missing, here and at the top of the file")
    if entries.get("seeds", 1) < 1:
        raise SweepError(f"{where}: seeds must be at least 1, got {entries['seeds']}")
    tasks = [task for pattern in entries["tasks"] for task in _expand(pattern, where)]
    return StudyTable(
        study=study,
        name=name,
        title=entries.get("title", name),
        source=entries.get("source", ""),
        package=entries["package"],
        command=entries.get("command", entries["package"].replace("_", "-")),
        agents=tuple(entries["agents"]),
        label=entries.get("label"),
        preset=entries.get("preset"),
        tasks=tuple(dict.fromkeys(tasks)),
        seeds=entries.get("seeds", 1),
        batched_seeds=entries.get("batched_seeds", False),
        extras=tuple(entries.get("extras", ())),
        options=flat_options(shared.get("options", {}), where) | flat_options(own.get("options", {}), where),
        agent_options=_by_name("agent_options", shared, own, where),
        task_options=_by_name("task_options", shared, own, where),
    )


def _expand(pattern: str, where: str) -> list[str]:
    tasks = expand_braces(pattern)
    if not tasks or any(set("{}") & set(task) for task in tasks):
        raise SweepError(f"{where}: {pattern!r} stands for no task: braces are written as in task{{1..5}}")
    return tasks


def _by_name(key: str, shared: Mapping[str, Any], own: Mapping[str, Any], where: str) -> dict[str, dict[str, str]]:
    """Options by agent or task pattern; those of the table come last, and so count."""
    found: dict[str, dict[str, str]] = {}
    for entries in (shared.get(key, {}), own.get(key, {})):
        for name, options in entries.items():
            if not isinstance(options, Mapping):
                raise SweepError(f"{where}: {key}: expected options of {name!r}, as a table, got {options!r}")
            found[name] = found.pop(name, {}) | flat_options(options, f"{where}: {key}.{name}")
    return found


def _check_keys(content: Mapping[str, Any], known: Mapping[str, type], where: str) -> None:
    for key, value in content.items():
        if key not in known:
            raise SweepError(f"{where}: unknown key {key!r}; {near(key, known)}")
        if not isinstance(value, known[key]) or (known[key] is int and isinstance(value, bool)):
            raise SweepError(f"{where}: {key} must be a TOML {_TOML[known[key]]}, got {value!r}")
        if known[key] is list and not all(isinstance(item, str) for item in value):
            raise SweepError(f"{where}: {key} must be a list of texts, got {value!r}")


_TOML: Mapping[type, str] = {str: "text", list: "list", int: "integer", bool: "true or false", dict: "table"}
