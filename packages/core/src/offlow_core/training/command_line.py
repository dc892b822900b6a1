"""From the words after a program's name to the options record of one training run."""

import json
import sys
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Generic, NoReturn, TypeVar

import tyro

from offlow_core.errors import UserError
from offlow_core.option_checks import OptionError
from offlow_core.training.option_tokens import Option, UnknownOptionError, last_given, near, options_of, read_arguments
from offlow_core.training.options import Options, RunOptions

Record = TypeVar("Record")
Preset = Callable[[str, str, str], Mapping[str, str]]
"""(preset name, variant, task name) -> option name -> text; raises `OptionError` where nothing is published."""

LATEST = "latest"
"""`ParsedCommand.resume` of a bare `--resume`: the latest unfinished run that matches."""
INTERRUPTED = 130  # exit status of a program that was asked to stop, as shells report Ctrl-C

_HELP = ("-h", "--help")
_COMMANDS = (Option("agent", str), Option("print_config", bool, "True"), Option("resume", str, LATEST))


@dataclass(frozen=True)
class ParsedCommand(Generic[Options]):
    """One training command.

    `resume` is None, `LATEST` or a run directory. `given` holds the dotted names of the run and agent options that
    the command line itself set: what someone who resumes a run wants changed.
    """

    options: Options
    variant: str
    print_config: bool
    resume: str | None
    given: frozenset[str]


def parse(
    argv: Sequence[str],
    *,
    program: str,
    variants: Mapping[str, type[Options]],
    default_variant: str,
    preset: Preset,
) -> ParsedCommand[Options]:
    """Read a training command. `--agent` picks one of `variants`, by name or by a file that is called so.

    Without it a run that `--resume` names decides. Defaults come from the variant, then `--preset`, then the command
    line. `--help` exits with 0, a wrong command line with 2 and a message on stderr. Touches no data or device.
    """
    words = [word for word in argv if word not in _HELP]
    try:
        variant = _variant(words, variants, _resumed_agent(words, variants) or default_variant)
        record_type = variants[variant]
        options = options_of(record_type)
        given = _read(words, [*_COMMANDS, *options], variant, variants)
        published = _published(given, record_type, variant, preset)
        texts = read_arguments(published, options) | given
    except OptionError as error:
        fail(program, str(error))
    command = {option.name: texts.pop(option.name, None) for option in _COMMANDS}
    record = _construct(record_type, texts, len(words) < len(argv), program, _description(variant, variants))
    return ParsedCommand(
        options=record,
        variant=variant,
        print_config=command["print_config"] == "True",
        resume=command["resume"],
        given=frozenset(given).intersection(texts),
    )


def read_record(argv: Sequence[str], record_type: type[Record], *, program: str, description: str) -> Record:
    """Read the options of any dataclass in the same spellings; exits like `parse`."""
    words = [word for word in argv if word not in _HELP]
    try:
        texts = read_arguments(words, options_of(record_type))
    except OptionError as error:
        fail(program, str(error))
    return _construct(record_type, texts, len(words) < len(argv), program, description)


def run_program(
    argv: Sequence[str] | None,
    *,
    program: str,
    train: Callable[[Sequence[str]], int],
    commands: Mapping[str, Callable[[Sequence[str]], int]],
) -> int:
    """Hand the words to one of `commands`, if the first of them names it, else to `train`; the exit status.

    What a user can mend ends the program like a wrong command line.
    """
    words = sys.argv[1:] if argv is None else list(argv)
    try:
        if words and words[0] in commands:
            return commands[words[0]](words[1:])
        return train(words)
    except UserError as error:
        fail(program, str(error))
    except KeyboardInterrupt:
        return INTERRUPTED


def fail(program: str, message: str) -> NoReturn:
    """End the program over a wrong command line: `message` on stderr, exit status 2."""
    print(f"{program}: error: {message}", file=sys.stderr)
    raise SystemExit(2)


def _variant(words: Sequence[str], variants: Mapping[str, type[RunOptions]], default: str) -> str:
    given = last_given(words, ["agent"])
    name = default if given is None else PurePath(given).stem
    if name not in variants:
        raise OptionError(f"unknown agent {name!r}; {near(name, variants)}")
    return name


def _resumed_agent(words: Sequence[str], variants: Container[str]) -> str | None:
    """The agent of the run that `--resume` names; None where that is no run, which is said when it is opened."""
    run = last_given(words, ["resume"])
    if run is None or run in ("", LATEST) or run.startswith("--"):
        return None
    try:
        name = json.loads((Path(run) / "config.json").read_bytes())["agent"]["agent_name"]
    except (OSError, ValueError, LookupError, TypeError):
        return None
    if name not in variants:
        raise OptionError(f"--resume {run}: a run of the agent {name!r}, which is another program's")
    return name


def _read(
    words: Sequence[str], options: Sequence[Option], variant: str, variants: Mapping[str, type[RunOptions]]
) -> dict[str, str]:
    """`read_arguments`, which also tells that an unknown option is another agent's."""
    try:
        return read_arguments(words, options)
    except UnknownOptionError as error:
        owners = [
            name
            for name, record in variants.items()
            if any(error.name in option.spellings for option in options_of(record))
        ]
        if not owners:
            raise
        raise OptionError(
            f"--{error.name} is an option of --agent {owners[0]}, not of {variant}; {error.hint}"
        ) from None


def _published(given: Mapping[str, str], record_type: type[RunOptions], variant: str, preset: Preset) -> list[str]:
    """The preset that the command line asks for, as the words of a command line."""
    name = given.get("preset", record_type.preset)
    if name == "none":
        return []
    settings = preset(name, variant, given.get("env_name", record_type.env_name))
    return [f"--{option}={text}" for option, text in settings.items()]


def _construct(
    record_type: type[Record], texts: Mapping[str, str], wants_help: bool, program: str, description: str
) -> Record:
    sequences = {option.name for option in options_of(record_type) if option.is_sequence}
    words: list[str] = []
    for name, text in texts.items():
        words += [f"--{name}", *filter(None, text.split(","))] if name in sequences else [f"--{name}={text}"]
    return tyro.cli(
        record_type,
        prog=program,
        description=description,
        args=[*words, "--help"] if wants_help else words,
        use_underscores=True,
        config=(tyro.conf.FlagConversionOff,),
    )


def _description(variant: str, variants: Mapping[str, type[RunOptions]]) -> str:
    others = "".join(f" `--agent {name} --help` lists those of {name}." for name in variants if name != variant)
    return (
        f"Train an agent: --agent {{{','.join(variants)}}} (here: {variant}).{others} --preset paper takes the "
        "published settings of --env_name as defaults. --print_config prints the resolved configuration as JSON and "
        "exits. --resume continues the latest unfinished run of this command, --resume DIR that run."
    )
