"""NAME_OR_FILE of the commands that look at a dataset: a task's files, or any file, alone or as a task's."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from tyro.conf import arg

from offlow_core.data.recordings.minari_fields import main_file
from offlow_core.data.validation import DatasetError
from offlow_core.suites import SUITES, TaskNameError, minari_dataset, resolve
from offlow_core.suites.dataset_files import given_files
from offlow_core.suites.minari_names import MinariName
from offlow_core.suites.options import SuiteOptions
from offlow_core.suites.task import Task

_FILE_ENDINGS = (".npz", ".hdf5", ".h5")


@dataclass(frozen=True)
class Target:
    """Files by role, and the task that they are looked at for, if any."""

    paths: dict[str, Path]
    task: Task | None

    @property
    def recordings(self) -> dict[str, Path]:
        """Those of the files that hold rows, by role."""
        return {role: path for role, path in self.paths.items() if role in ("train", "validation")}

    @property
    def step_limit(self) -> int | None:
        """After how many steps D4RL takes an episode for cut off if the file does not say; None for other suites."""
        return self.task.episode_steps if self.task is not None and self.task.suite == "d4rl" else None


@dataclass(frozen=True)
class DatasetOptions:
    """Which dataset a command looks at."""

    dataset: Annotated[str, tyro.conf.Positional, arg(metavar="NAME_OR_FILE")]
    """a task whose dataset is in the local cache, a file (.npz, .hdf5), or a Minari folder"""
    task: Annotated[str | None, arg(metavar="NAME", help_behavior_hint="(default: none)")] = None
    """take the file for a dataset of this task, as training would"""
    dataset_dir: Annotated[str | None, arg(metavar="DIR", help_behavior_hint="(default: the suite's own)")] = None
    """folder of the datasets"""

    def find(self) -> Target:
        """The files that are meant, as `find_target` has them."""
        return find_target(self.dataset, self.task, self.dataset_dir)


def find_target(name_or_file: str, task_name: str | None, dataset_dir: str | None) -> Target:
    """The files that are meant, all of them there; errors name what was looked for.

    Nothing is downloaded: looking at a dataset should not take an hour by surprise.
    """
    path = Path(name_or_file).expanduser()
    if task_name is not None:
        task = resolve(task_name, SuiteOptions(dataset_path=str(path)))
        return Target(task.files() if task.files is not None else given_files(path), task)
    if path.is_dir():
        main_file(path)  # before anything of what may be half a disk is read
    if path.exists():
        return Target({"train": path}, None)
    if path.suffix in _FILE_ENDINGS:
        raise DatasetError(f"{path}: there is no such file.")
    options = SuiteOptions(dataset_dir=dataset_dir)
    _require_metadata(name_or_file, options)
    try:
        task = resolve(name_or_file, options)
    except TaskNameError as error:
        raise DatasetError(f"{name_or_file!r} is no file, and no task either: {error}") from error
    if task.files is None:
        raise DatasetError(f"{name_or_file}: this task has no dataset of its own; name a file instead.")
    return Target(_require_cached(task.files(), name_or_file), task)


def _require_metadata(name: str, options: SuiteOptions) -> None:
    """DatasetError for a Minari dataset that is not there; to look up its task would download its metadata."""
    parsed = next((found for suite in SUITES if (found := suite.parse(name)) is not None), None)
    if isinstance(parsed, MinariName):
        _require_cached(minari_dataset.files(parsed, options), name)


def _require_cached(paths: dict[str, Path], name: str) -> dict[str, Path]:
    missing = [str(path) for path in paths.values() if not path.exists()]
    if missing:
        raise DatasetError(
            f"{name} is not on this machine: there is no {' and no '.join(missing)}.\n"
            f"Get it with: offlow data download {name}"
        )
    return paths
