"""Which datasets there are, which tasks share them, and what a person may call them."""

import difflib
import fnmatch
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from offlow_core.suites import TaskNameError, resolve, task_names
from offlow_core.suites.options import SuiteOptions
from offlow_core.suites.task import Task


@dataclass(frozen=True)
class Entry:
    """One dataset: its files, and those of its tasks that were asked for."""

    suite: str
    names: tuple[str, ...]
    files: tuple[Path, ...]
    """Empty where the dataset is not kept in files of known names."""
    task: Task
    """The first of the tasks, which stands for all of them where only files matter."""

    @property
    def present(self) -> tuple[Path, ...]:
        """Those of the files that are on this machine."""
        return tuple(path for path in self.files if path.exists())

    @property
    def is_cached(self) -> bool:
        """Whether nothing needs to be fetched."""
        return bool(self.files) and len(self.present) == len(self.files)

    @property
    def present_bytes(self) -> int:
        """Size on this machine."""
        return sum(path.stat().st_size for path in self.present)


def entries(names: Iterable[str], options: SuiteOptions) -> list[Entry]:
    """The datasets of these tasks, each once, in the order of their first task; TaskNameError for an unknown name.

    Tasks without a dataset are left out.
    """
    found: dict[object, Entry] = {}
    for name in names:
        task = resolve(name, options)
        if not task.has_dataset:
            continue
        files = tuple(task.files().values()) if task.files is not None else ()
        key = files or name
        known = found.get(key)
        if known is None:
            found[key] = Entry(task.suite, (name,), files, task)
        elif name not in known.names:
            found[key] = replace(known, names=(*known.names, name))
    return list(found.values())


def listed(options: SuiteOptions) -> list[Entry]:
    """All datasets whose tasks can be listed."""
    return entries(task_names(), options)


def matching(word: str, options: SuiteOptions) -> list[Entry]:
    """The datasets that a word means: a suite, a pattern with * ? or [ ], or the name of one task.

    TaskNameError where there is none.
    """
    is_one_name = word not in _suites(options) and not any(sign in word for sign in "*?[")
    if not is_one_name:
        return filtered(word, options)
    found = entries([word], options)
    if not found:
        raise TaskNameError(f"{word} is an environment without a dataset; there is nothing to fetch or look at.")
    return found


def filtered(word: str, options: SuiteOptions) -> list[Entry]:
    """The listed datasets of a suite, or those with tasks whose names fit a pattern or contain the word.

    TaskNameError, with the nearest names, where there is none.
    """
    every = listed(options)
    if word in _suites(options):
        return [entry for entry in every if entry.suite == word]
    names = [name for entry in every for name in entry.names]
    found = fnmatch.filter(names, word) or fnmatch.filter(names, f"*{word}*")
    if found:
        return entries(found, options)
    near = difflib.get_close_matches(word, [*_suites(options), *names], n=5, cutoff=0.6)
    hint = f"the nearest names are: {', '.join(near)}" if near else f"the suites are: {', '.join(_suites(options))}"
    raise TaskNameError(f"no suite and no task fits {word!r}; {hint}.")


def total_bytes(chosen: Sequence[Entry]) -> int:
    """Size on this machine of several datasets."""
    return sum(entry.present_bytes for entry in chosen)


def _suites(options: SuiteOptions) -> list[str]:
    return list(dict.fromkeys(entry.suite for entry in listed(options)))
