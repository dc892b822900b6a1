"""Which run directories a `--resume` means, and with which options they go on."""

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace

from offlow_core.data.transitions import Dataset
from offlow_core.option_checks import OptionError
from offlow_core.training.command_line import LATEST, ParsedCommand
from offlow_core.training.option_json import from_json, to_json
from offlow_core.training.options import OnlineOptions, Options, RunOptions
from offlow_core.training.run_directory import RunDirectory, RunDirectoryError, find_resumable


def runs_to_resume(command: ParsedCommand) -> list[RunDirectory]:
    """The claimed directories, one per seed in order, that the command continues; empty to start anew."""
    options = command.options
    if command.resume is None:
        return []
    if command.resume != LATEST:
        first = RunDirectory.open(command.resume, keep_checkpoints=options.keep_checkpoints)
        first.claim()
    else:
        first = find_resumable(
            options.save_dir,
            options.env_name,
            options.agent.agent_name,
            options.seed,
            to_json(options),
            ignore=options.changeable - {"offline_steps"},
            keep_checkpoints=options.keep_checkpoints,
        )
    runs = [] if first is None else _session_of(first, options.keep_checkpoints)
    # The directory that was found may belong to a later seed of another session.
    if not runs or (command.resume == LATEST and runs[0].config["seed"] != options.seed):
        raise OptionError(
            f"--resume: {options.save_dir} has no unfinished run of {options.agent.agent_name} on {options.env_name} "
            f"with these options and seed {options.seed}; leave --resume out to start one, or name a run directory"
        )
    return runs


def options_of(
    runs: Sequence[RunDirectory], command: ParsedCommand[Options], variants: Mapping[str, type[Options]]
) -> Options:
    """The options that the runs were started with, with those changes of the command line that a run can take."""
    saved = from_json(variants, runs[0].config)
    if command.resume == LATEST:
        return replace(saved, **{name: getattr(command.options, name) for name in saved.changeable})
    refused = sorted(
        name for name in command.given if name not in saved.changeable and _differs(name, saved, command.options)
    )
    if refused:
        raise OptionError(
            f"{runs[0].path} was started with another --{refused[0]}; a resumed run keeps it. It can change "
            f"{', '.join(sorted(saved.changeable))}; for anything else start a new run"
        )
    changes = {field.name for field in fields(saved)} & command.given & saved.changeable
    online = isinstance(saved, OnlineOptions) and saved.online_steps > 0
    if "offline_steps" in changes and online and _differs("offline_steps", saved, command.options):
        raise OptionError(
            f"{runs[0].path} has online steps, which begin after its {saved.offline_steps} offline steps; "
            "only a run without them can take another --offline_steps"
        )
    return replace(saved, **{name: getattr(command.options, name) for name in changes})


def with_recorded(options: Options, run: RunDirectory) -> Options | None:
    """The options with the values that the run took from its data when it began; None if it recorded none."""
    recorded = run.manifest.get("from_data")
    if recorded is None:
        return None
    for name, value in recorded.items():
        path, _, leaf = name.rpartition(".")
        part = replace(getattr(options, path), **{leaf: value}) if path else value
        options = replace(options, **{path or leaf: part})
    return options


def check_same_data(runs: Sequence[RunDirectory], dataset: Dataset) -> None:
    """Raise unless the runs were started on exactly these transitions."""
    now = dataset.checksum() if runs else ""
    for run in runs:
        before = run.manifest["dataset"].get("sha256")
        if before is None:
            raise RunDirectoryError(f"{run.path} was imported, not trained here: its training cannot be continued")
        if before != now:
            raise RunDirectoryError(
                f"{run.path} was trained on other data: its transitions have SHA-256 {before[:12]}..., those that the "
                f"task loads now {now[:12]}...; name the same data (--dataset_path or another option that names them)"
            )


def _session_of(first: RunDirectory, keep_checkpoints: int) -> list[RunDirectory]:
    """All runs that were started together with `first`, claimed, in the order of their seeds."""
    session = first.manifest["session"]
    runs = [first]
    for path in first.path.resolve().parent.glob("*/status.json"):
        run = RunDirectory.open(path.parent, keep_checkpoints=keep_checkpoints)
        if path.parent != first.path.resolve() and _session_or_none(run) == session:
            run.claim()
            runs.append(run)
    expected = first.config["num_seeds"]
    if len(runs) != expected:
        raise RunDirectoryError(
            f"{first.path} was trained together with {expected - 1} other seeds, of which {len(runs) - 1} are still in "
            f"{first.path.parent}; all are needed to go on"
        )
    return sorted(runs, key=lambda run: run.config["seed"])


def _session_or_none(run: RunDirectory) -> str | None:
    """The session of some run; None where its manifest is damaged, which is no concern of other runs."""
    try:
        return run.manifest.get("session")
    except RunDirectoryError:
        return None


def _differs(name: str, saved: RunOptions, given: RunOptions) -> bool:
    *path, leaf = name.split(".")
    for part in path:
        saved, given = getattr(saved, part), getattr(given, part)
    return getattr(saved, leaf) != getattr(given, leaf)
