"""`offlow data iav`: how much the actions of a dataset differ where its states are alike."""

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from offlow_core.commands.dataset_argument import DatasetOptions, Target
from offlow_core.commands.shell import run_command
from offlow_core.data.action_variance import ActionVariance, VarianceOptions, estimate_action_variance, require_states
from offlow_core.data.ogbench_rows import regular_rows
from offlow_core.data.own_arrays import transitions_from_arrays
from offlow_core.data.recordings import minari_fields
from offlow_core.data.recordings.layouts import with_unit_actions
from offlow_core.data.recordings.recording import read_recording
from offlow_core.data.transitions import Transitions, clip_actions
from offlow_core.data.validation import DatasetError
from offlow_core.suites.target_divergence import FACTORS, recommended_target_divergence
from offlow_core.wording import counted


@dataclass(frozen=True)
class Options(VarianceOptions, DatasetOptions):
    """Estimate a dataset's intrinsic action variance (IAV), and DeFlow's target_divergence from it.

    For each of some states: the variance of the actions at its nearest neighbours, averaged over the numbers of an
    action. The IAV is the mean of that.
    """


def main(arguments: Sequence[str], program: str) -> None:
    """Parse `arguments` and print the estimate."""
    run_command(Options, run, arguments, program)


def run(options: Options) -> None:
    """Print the estimate, its options, and what follows from it."""
    target = options.find()
    path = target.recordings["train"]
    _refuse_stored_images(path)
    data = _load(target, needs_borders=options.exclude_same_trajectory)
    estimate = estimate_action_variance(data.observations, data.actions, data.ends, options, source=str(path))
    title = options.dataset if target.task is None else f"{target.task.name} ({target.task.suite})"
    _print_section(title, [("train", str(path)), ("pairs", f"{len(data.actions):,} {data.description}")])
    _print_section("\nintrinsic action variance", _estimate_lines(estimate, data))
    _print_section("\ntarget_divergence", _divergence_lines(estimate.value, target))


@dataclass(frozen=True, eq=False)
class Pairs:
    """States and the actions taken there, in storage order."""

    observations: np.ndarray  # [n, d]
    actions: np.ndarray  # [n, action], in [-1, 1]
    ends: np.ndarray  # [n], true at the last one of each trajectory
    description: str


def _load(target: Target, *, needs_borders: bool) -> Pairs:
    """What the task trains on; without a task the rows of the file, also those that training drops for their end."""
    if target.task is not None:
        return _of_transitions(target.task.load_dataset().train, target.task.name)
    path = target.recordings["train"]
    recording = read_recording(path)
    if needs_borders and not recording.knows_cut_offs:
        raise DatasetError(
            f"{path}: exclude_same_trajectory must know where trajectories end, but the file has no `timeouts`. "
            "Name the task of D4RL whose dataset it is (--task NAME), which counts steps, or add the field."
        )
    if recording.format == "own":
        return _of_transitions(transitions_from_arrays(recording.arrays, str(path)), str(path))
    if recording.format == "minari":
        main_file = minari_fields.main_file(path) if path.is_dir() else path
        recording = with_unit_actions(recording, minari_fields.action_bounds(main_file))
    rows, ends = np.arange(len(recording)), recording.ends
    if recording.format == "ogbench":
        rows, _, ends = regular_rows(recording.timeouts)
    return Pairs(recording.observations[rows], clip_actions(recording.actions[rows]), ends, "recorded rows")


def _of_transitions(part: Transitions, source: str) -> Pairs:
    require_states(part.observations, source)  # before a copy of images is made, which may fill half the memory
    return Pairs(part.observations[part.rows], part.actions, part.terminals, "transitions to train on")


def _refuse_stored_images(path: Path) -> None:
    """By what an npz file says of its observations, before gigabytes of them are read."""
    try:
        with zipfile.ZipFile(path) as file, file.open("observations.npy") as member:
            version = np.lib.format.read_magic(member)
            header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
            shape, _, dtype = header[version](member)
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):
        return  # in another format, or damaged, which whoever reads it will say
    if dtype == np.uint8:
        require_states(np.broadcast_to(np.uint8(0), shape), str(path))


def _estimate_lines(estimate: ActionVariance, data: Pairs) -> list[tuple[str, str]]:
    spread = data.actions.var(axis=0, dtype=np.float64).mean()
    width = counted(data.observations.shape[1], "number")
    drawn = "all of them" if estimate.queries == estimate.searched else f"drawn with seed {estimate.seed}"
    names = ("k", "include_self", "ddof", "standardize", "exclude_same_trajectory")
    return [
        ("IAV", f"{estimate.value:.4g} per action dimension ({spread:.4g} is the variance of all actions)"),
        ("queries", f"{counted(estimate.queries, 'state')} of {width} out of {estimate.searched:,}, {drawn}"),
        ("options", ", ".join(f"{name} {getattr(estimate, name)}" for name in names)),
    ]


def _divergence_lines(variance: float, target: Target) -> list[tuple[str, str]]:
    name = None if target.task is None else target.task.canonical_name
    advice = recommended_target_divergence(variance, name)
    lines = []
    for factor in FACTORS:
        chosen = f"  <- {advice.rule}" if factor == advice.factor else ""
        lines.append((f"{factor} x IAV", f"{factor * variance:<10.4g}{chosen}".rstrip()))
    return [*lines, ("", "A value published for the task wins over the rule: deflow --preset paper has them.")]


def _print_section(heading: str, lines: list[tuple[str, str]]) -> None:
    width = max(len(name) for name, _ in lines)
    print("\n".join([heading, *(f"  {name:<{width}}  {text}" for name, text in lines)]), flush=True)
