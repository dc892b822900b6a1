"""`sacflow import` and `sacflow export`: parameters of the official code become a run, and those of a run go back."""

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import torch
import tyro

from offlow_core.commands.shell import run_command
from offlow_core.data.npz_file import NpzFile, write_npz
from offlow_core.files import atomic_file
from offlow_core.option_checks import OptionError
from offlow_core.suites import resolve
from offlow_core.torch.state_arrays import load_arrays, to_arrays
from offlow_core.training.command_line import ParsedCommand, fail
from offlow_core.training.manifest import build_manifest
from offlow_core.training.option_json import from_json, to_json, to_text
from offlow_core.training.run_directory import RunDirectory
from offlow_core.training.saved_arrays import AGENT, part_of
from offlow_core.training.saved_run import find_checkpoint
from offlow_sacflow.official_parameters import flax_arrays, load_flax
from offlow_sacflow.options import VARIANTS, ChunkOptions, ScratchOptions
from offlow_sacflow.task_agent import agent_of

PACKAGES = ("offlow-core", "offlow-sacflow", "torch", "numpy")
CPU = torch.device("cpu")


def import_parameters(path: Path, options: ScratchOptions | ChunkOptions) -> RunDirectory:
    """A finished run with these parameters; it can be evaluated, filmed and exported, not trained on."""
    task = resolve(options.env_name, options.suite)
    agent = agent_of(options, task, CPU)
    with NpzFile(path) as file:
        load_flax(agent, {name: file.read(name) for name in file.fields})
    source = {"source": "imported parameters", "files": [str(path)]}
    manifest = build_manifest(packages=PACKAGES, device="none", dataset=source, semantics=task.semantics())
    manifest["session"] = uuid.uuid4().hex
    config = {**to_json(options), "num_seeds": 1}
    run = RunDirectory.create(options.save_dir, task.name, options.agent.agent_name, options.seed, config, manifest)
    arrays = {AGENT + name: array for name, array in to_arrays(agent.state()).items()}
    run.checkpoints.save(0, arrays, {"step": 0}, permanent=True)
    run.set_status("finished", scores={})
    return run


def export_parameters(run: RunDirectory, path: Path, step: int | None) -> int:
    """Write a checkpoint's parameters to an npz file; how many arrays there are. OptionError where no file can be."""
    if path.is_dir() or not path.parent.is_dir():
        raise OptionError(f"{path} must be a file to write, in a folder that exists: make {path.parent}, or rename it")
    options = from_json(VARIANTS, run.config)
    agent = agent_of(options, resolve(options.env_name, options.suite), CPU)
    load_arrays(agent.state(), part_of(find_checkpoint(run, step).arrays, AGENT))
    arrays = flax_arrays(agent)
    with atomic_file(path) as file:
        write_npz(file, arrays)
    return len(arrays)


@dataclass(frozen=True)
class ExportOptions:
    """Write the parameters of a saved agent to an npz file, under the names of the official JAX code."""

    run: Annotated[Path, tyro.conf.Positional]
    """run directory"""
    file: Annotated[Path, tyro.conf.Positional]
    """the .npz file to write"""
    checkpoint: int | None = None
    """step of the checkpoint; None: the last"""


def import_command(
    argv: Sequence[str], read: Callable[[Sequence[str]], ParsedCommand[ScratchOptions | ChunkOptions]]
) -> int:
    """`sacflow import FILE [SCRIPT] OPTIONS`: the options are those of training, as far as they tell the networks."""
    if not argv or argv[0].startswith("-"):
        fail("sacflow import", "name the .npz file with the official parameters first; see docs/sacflow.md")
    command = read(argv[1:])
    if command.resume is not None:
        fail("sacflow import", "what is imported becomes a run of its own: leave out --resume")
    if command.print_config:
        print(to_text(command.options))
        return 0
    run = import_parameters(Path(argv[0]), command.options)
    print(f"{run.path}: imported; evaluate it: sacflow evaluate {run.path} --episodes 100")
    return 0


def export_command(argv: Sequence[str]) -> int:
    """`sacflow export RUN FILE`."""
    run_command(ExportOptions, _export, argv, "sacflow export")
    return 0


def _export(options: ExportOptions) -> None:
    count = export_parameters(RunDirectory.open(options.run), options.file, options.checkpoint)
    print(f"{options.file}: {count} arrays under their official names")
