"""`offlow data info`: what a dataset or a file holds."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from offlow_core.commands.dataset_argument import DatasetOptions
from offlow_core.commands.shell import run_command
from offlow_core.data.recordings.fields import FORMATS
from offlow_core.data.recordings.measures import Ranges
from offlow_core.data.recordings.recording import read_recording
from offlow_core.data.recordings.summary import (
    RecordedSummary,
    Spread,
    TrainingSummary,
    summarize_recording,
    summarize_transitions,
)
from offlow_core.errors import UserError
from offlow_core.suites.dataset_files import fingerprint
from offlow_core.suites.score import ScoreRule
from offlow_core.suites.task import Task
from offlow_core.wording import counted, size


@dataclass(frozen=True)
class Options(DatasetOptions):
    """Show what a dataset holds: rows, episodes, returns, ranges, memory and origin."""


def main(arguments: Sequence[str], program: str) -> None:
    """Parse `arguments` and print the description."""
    run_command(Options, run, arguments, program)


def run(options: Options) -> None:
    """Print what is in the files, and what the task makes of them."""
    target = options.find()
    task = target.task
    # First, as loading takes the checksums that are printed above all else.
    loaded = Loaded() if task is None else _loaded(task)
    title = options.dataset if task is None else f"{task.name} ({task.suite})"
    files = [line for role, path in target.paths.items() for line in _file_lines(role, path, loaded.fingerprints)]
    _print_section(title, files)
    for role, path in target.recordings.items():
        kind, summary = _recorded(path, target.step_limit)
        lines = _recorded_lines(summary, None if task is None else task.score)
        _print_section(f"\n{role}: recorded rows ({FORMATS[kind]})", lines)
    if loaded.fault is not None:
        raise loaded.fault
    if task is not None:
        for role, trained in loaded.summaries.items():
            _print_section(f"\n{role}: transitions to train on", _training_lines(trained, task))


@dataclass(frozen=True)
class Loaded:
    """What a task makes of its dataset."""

    summaries: dict[str, TrainingSummary] = field(default_factory=dict)
    """By role."""
    fingerprints: dict[tuple[str, str], dict] = field(default_factory=dict)
    """Size and checksum of files, by role and name."""
    fault: UserError | None = None
    """Why it cannot be loaded; what is in the files is shown nevertheless."""


def _loaded(task: Task) -> Loaded:
    # Only the numbers outlive this function: a dataset may fill half the memory.
    try:
        dataset = task.load_dataset()
    except UserError as fault:
        return Loaded(fault=fault)
    parts = {"train": dataset.train, "validation": dataset.validation}
    return Loaded(
        summaries={role: summarize_transitions(part) for role, part in parts.items() if part is not None},
        fingerprints={(file["role"], file["name"]): file for file in dataset.origin["files"]},
    )


def _print_section(heading: str, lines: list[tuple[str, str]]) -> None:
    width = max(len(name) for name, _ in lines)
    print("\n".join([heading, *(f"  {name:<{width}}  {text}" for name, text in lines)]), flush=True)


def _recorded(path: Path, step_limit: int | None) -> tuple[str, RecordedSummary]:
    # Here, too, only the numbers.
    recording = read_recording(path, step_limit)
    return recording.format, summarize_recording(recording)


def _file_lines(role: str, path: Path, known: dict[tuple[str, str], dict]) -> list[tuple[str, str]]:
    files = [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.is_file())
    texts = []
    for file in files:
        mark = known.get((role, file.name)) or fingerprint(role, file)
        texts += [f"{file} ({size(mark['bytes'])})", f"sha256 {mark['sha256']}"]
    return [(role if k == 0 else "", text) for k, text in enumerate(texts)]


def _recorded_lines(summary: RecordedSummary, score: ScoreRule | None) -> list[tuple[str, str]]:
    lengths = summary.lengths
    rows = f"{summary.rows:,} in {counted(summary.episodes, 'episode')} of {lengths.low:,.0f} to {lengths.high:,.0f}"
    borders = f"{summary.terminal_ends:,} episodes end in a terminal state, {summary.cut_off_ends:,} are cut off"
    lines = [
        ("rows", f"{rows} (mean {lengths.mean:,.1f})"),
        ("transitions", f"{summary.transitions:,}"),
        ("borders", borders + (", the last one is unfinished" if summary.unfinished else "")),
    ]
    if not summary.knows_cut_offs:
        lines.append(("", "the file has no `timeouts`: an episode that was cut off runs on into the next"))
        lines.append(("", "(D4RL counts its steps instead: --task NAME)"))
    if summary.goals_lie_inside:
        lines.append(("", "episodes go on after terminal rows (goals inside of episodes, as in AntMaze)"))
    if summary.returns is None or summary.rewards is None:
        lines.append(("returns", "none: the file has no rewards, they are computed for a task (--task NAME)"))
    else:
        lines += [("returns", _spread(summary.returns)), ("rewards", _spread(summary.rewards))]
        lines += _score_lines(summary.returns, score)
    lines += [
        ("observations", _ranges(summary.observations)),
        ("actions", f"{_ranges(summary.actions)}; {summary.at_limit:.1%} of the numbers at the limit of +-1"),
        ("memory", f"{size(summary.nbytes)} for all arrays of the file"),
    ]
    return lines


def _score_lines(returns: Spread, score: ScoreRule | None) -> list[tuple[str, str]]:
    """Where the task's score is a normalised return: what the recorded episodes score."""
    if score is None or score.column != "return":
        return []
    low, mean, high = (float(score.of(value)) for value in (returns.low, returns.mean, returns.high))
    return [
        (
            "score",
            f"{score.label}: {low:.1f} to {high:.1f}, mean {mean:.1f} (0 is a return of {score.low:g}, 100 of "
            f"{score.high:g})",
        )
    ]


def _training_lines(summary: TrainingSummary, task: Task) -> list[tuple[str, str]]:
    share = summary.terminations / summary.transitions
    lines = [
        ("transitions", f"{summary.transitions:,} in {counted(summary.trajectories, 'trajectory')}"),
        ("returns", _spread(summary.returns)),
        ("rewards", _spread(summary.rewards)),
        ("terminations", f"{counted(summary.terminations, 'transition')} without a future ({share:.2%})"),
    ]
    if task.score.column == "success":
        reached = summary.terminating_trajectories
        lines.append(("success", f"{reached:,} of {counted(summary.trajectories, 'trajectory')} reach the goal"))
    return [*lines, ("memory", size(summary.nbytes))]


def _spread(values: Spread) -> str:
    return f"{values.low:,.4g} to {values.high:,.4g}, mean {values.mean:,.4g} (sd {values.deviation:,.4g})"


def _ranges(values: Ranges) -> str:
    width = len(values.low)
    what = counted(width, "number")
    text = f"{what} per row, {values.low.min():.4g} to {values.high.max():.4g}"
    if width > 1:
        text += f", standard deviations {values.deviation.min():.2g} to {values.deviation.max():.2g}"
    if len(values.constant):
        text += f", {len(values.constant)} of them constant"
    if values.bad_rows:
        text += f"; {counted(values.bad_rows, 'row')} with NaN or infinity (the first is {values.first_bad_row})"
    return text
