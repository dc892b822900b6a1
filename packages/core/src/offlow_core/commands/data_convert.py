"""`offlow data convert`: write a dataset in another format."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro
from tyro.conf import arg

from offlow_core.commands.dataset_argument import Target, find_target
from offlow_core.commands.shell import run_command
from offlow_core.data.recordings import minari_fields
from offlow_core.data.recordings.fields import FORMATS
from offlow_core.data.recordings.layouts import LAYOUTS, with_rewards, with_unit_actions
from offlow_core.data.recordings.recording import Recording, read_recording
from offlow_core.data.recordings.writing import write_recording
from offlow_core.data.validation import DatasetError, require_finite
from offlow_core.wording import size


@dataclass(frozen=True)
class Options:
    """Write a dataset in another format, as far as that can hold it; says what is changed or lost.

    The formats: own (arrays in an npz or HDF5 file), d4rl (HDF5), ogbench (npz), minari (a folder).
    """

    source: Annotated[str, tyro.conf.Positional, arg(metavar="SOURCE")]
    """a file (.npz, .hdf5), a Minari folder, or a task whose dataset is in the local cache"""
    target: Annotated[Path, tyro.conf.Positional, arg(metavar="TARGET")]
    """the file to write; for Minari a folder, whose name is the dataset's"""
    to: Annotated[
        Literal["own", "d4rl", "ogbench", "minari"] | None,
        arg(help_behavior_hint="(default: own for a file, minari for a folder)"),
    ] = None
    """format to write"""
    task: Annotated[str | None, arg(metavar="NAME", help_behavior_hint="(default: none)")] = None
    """the task whose dataset the file is: it gives an OGBench file its rewards, and a D4RL file without `timeouts` the
    ends of its episodes"""
    overwrite: bool = False
    """replace what is there"""


def main(arguments: Sequence[str], program: str) -> None:
    """Parse `arguments` and convert."""
    run_command(Options, run, arguments, program)


def run(options: Options) -> None:
    """Convert one file and say what became of it."""
    target = options.target.expanduser()
    kind = options.to or ("own" if target.suffix else "minari")
    found = find_target(options.source, options.task, None)
    source = _read(found)
    if source.format == kind != "own":
        raise DatasetError(f"{source.path} is in the format {kind} already; copy it, or choose another with --to.")
    converted = LAYOUTS[kind](source)
    write_recording(converted.recording, target, overwrite=options.overwrite)
    print(f"{target}: {FORMATS[kind]}, {size(_stored_bytes(target))}")
    print(f"  rows         {len(source):,} -> {len(converted.recording):,}")
    print(f"  transitions  {source.transitions:,} -> {converted.recording.transitions:,}")
    for change in converted.changes:
        print(f"  {change}")


def _read(found: Target) -> Recording:
    path = found.recordings["train"]
    recording = read_recording(path, found.step_limit)
    for name, values in recording.arrays.items():
        require_finite(values, name, str(path))
    if recording.format == "ogbench" and found.task is not None:
        return with_rewards(recording, found.task.load_dataset().train)
    if recording.format == "minari":
        main_file = minari_fields.main_file(path) if path.is_dir() else path
        return with_unit_actions(recording, minari_fields.action_bounds(main_file))
    return recording


def _stored_bytes(target: Path) -> int:
    files = [target] if target.is_file() else [file for file in target.rglob("*") if file.is_file()]
    return sum(file.stat().st_size for file in files)
