"""Command lines in the spellings that published READMEs use, read into one form: option name -> text."""

import difflib
import sys
from collections import deque
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from itertools import pairwise
from types import NoneType
from typing import Any, get_args, get_origin, get_type_hints

from offlow_core.option_checks import OptionError

_BOOLEANS = dict.fromkeys(("true", "t", "yes", "1"), "True") | dict.fromkeys(("false", "f", "no", "0"), "False")


class UnknownOptionError(OptionError):
    """No option is called `name`; `hint` says which ones resemble it."""

    def __init__(self, name: str, hint: str) -> None:
        super().__init__(f"unknown option --{name}; {hint}")
        self.name = name
        self.hint = hint


@dataclass(frozen=True)
class Option:
    """One option: its dotted name, its type, and the text that the bare option stands for (None: needs a value)."""

    name: str
    hint: Any
    bare: str | None = None
    aliases: tuple[str, ...] = ()
    switch: tuple[str, str] | None = None
    """The texts that a flag stands for, on and off, where it is only a way to write another option."""

    @property
    def spellings(self) -> tuple[str, ...]:
        """What the option may be called on a command line."""
        return self.aliases if self.switch else (self.name, *self.aliases)

    @property
    def is_bool(self) -> bool:
        return self.hint is bool

    @property
    def is_free_text(self) -> bool:
        """Whether any text may be its value, such as a folder's name."""
        return str in (self.hint, *get_args(self.hint))

    @property
    def is_sequence(self) -> bool:
        return get_origin(self.hint) is tuple


def also_written(*names: str) -> dict[str, Any]:
    """Arguments of a dataclass field whose option has these further names, such as its own without `agent.`."""
    return {"metadata": {"aliases": names}}


def options_of(record_type: type[Any], prefix: str = "") -> list[Option]:
    """Options of a dataclass, depth first; those of a nested dataclass are named `field.name`.

    A field's metadata may hold `aliases`, further names of the option, and `switches`: flag -> (text if on, if off).
    """
    hints = get_type_hints(record_type)
    found = []
    for field in fields(record_type):
        hint = hints[field.name]
        if is_dataclass(hint):
            found += options_of(hint, f"{prefix}{field.name}.")
        else:
            bare = "True" if hint is bool else None
            found.append(Option(prefix + field.name, hint, bare, field.metadata.get("aliases", ())))
            switches = field.metadata.get("switches", {}).items()
            found += [Option(prefix + field.name, bool, "True", (flag,), texts) for flag, texts in switches]
    return found


def read_arguments(arguments: Sequence[str], options: Iterable[Option]) -> dict[str, str]:
    """Text of each option that `arguments` give; the last one counts.

    Accepts `--name=value` and `--name value`, underscores and hyphens, aliases, quotes that no shell removed,
    `--flag`, `--no-flag` and `--flag=false|0`, sequences as `(64,64)`, `64,64` or `64 64`, and a space that is missing
    before an option, which is said on stderr.
    Raises `OptionError` for anything else, naming the nearest options.
    """
    by_name = {name: option for option in options for name in option.spellings}
    rest = deque(arguments)
    given = {}
    while rest:
        word = rest.popleft()
        if not word.startswith("--") or word == "--":
            raise OptionError(f"unexpected argument {word!r}; options are written --name=value")
        word, glued = _separate(word, by_name)
        rest.extendleft(glued)
        spelled, equals, value = word[2:].partition("=")
        name = spelled.replace("-", "_")
        option = by_name.get(name)
        if option:
            given[option.name] = _plain_text(option, value if equals else _following(option, rest))
        elif not equals and (negated := _negated(name, by_name)):
            given[negated.name] = negated.switch[1] if negated.switch else "False"
        else:
            raise UnknownOptionError(name, _nearest(name, by_name))
    return given


def last_given(words: Sequence[str], names: Container[str]) -> str | None:
    """The text that follows the last option called one of `names`, without quotes; None where there is none.

    For what has to be known of a command line before its options are. A bare option has the text of the next word.
    """
    text = None
    for word, following in pairwise([*words, ""]):
        spelled, equals, value = word.partition("=")
        if spelled.startswith("--") and spelled[2:].replace("-", "_") in names:
            text = (value if equals else following).strip("'\"")
    return text


def _separate(word: str, by_name: Mapping[str, Option]) -> tuple[str, list[str]]:
    """`--a=1--b=2`, where b is an option, as two words: published commands have such a slip."""
    first, dashes, second = word[2:].partition("--")
    before, after = (by_name.get(part.partition("=")[0].replace("-", "_")) for part in (first, second))
    if not dashes or "=" not in first or before is None or after is None or before.is_free_text:
        return word, []
    print(f"reading {word} as --{first} --{second}", file=sys.stderr)
    return f"--{first}", [f"--{second}"]


def _plain_text(option: Option, text: str) -> str:
    """One spelling for values that can be written in several: no quotes, True/False, None, items joined by commas."""
    text = text.strip()
    if len(text) >= 2 and text[0] == text[-1] and text[0] in "'\"":
        text = text[1:-1]
    if option.is_bool:
        if text.lower() not in _BOOLEANS:
            raise OptionError(f"--{option.spellings[0]} must be True or False, got {text!r}")
        value = _BOOLEANS[text.lower()]
        return value if option.switch is None else option.switch[value == "False"]
    if option.is_sequence:
        return ",".join(text.strip("()[]").replace(",", " ").split())
    if NoneType in get_args(option.hint) and text.lower() == "none":
        return "None"
    return text


def near(name: str, known: Iterable[str]) -> str:
    """Names in `known` that resemble `name`, as the end of an error message."""
    known = list(known)
    matches = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    return f"did you mean {' or '.join(matches)}?" if matches else f"known: {', '.join(known)}"


def _following(option: Option, rest: deque[str]) -> str:
    """Value of an option written without `=`, taken from the words after it."""
    if option.is_sequence:
        words = []
        while rest and not rest[0].startswith("--"):
            words.append(rest.popleft())
        return " ".join(words)
    follows = bool(rest) and not rest[0].startswith("--")
    if follows and not (option.is_bool and rest[0].lower() not in _BOOLEANS):
        return rest.popleft()
    if option.bare is None:
        raise OptionError(f"--{option.name} needs a value: --{option.name}=VALUE")
    return option.bare


def _negated(name: str, by_name: Mapping[str, Option]) -> Option | None:
    """The flag that `no_flag`, `noflag`, `no_agent.flag` or `agent.no_flag` switches off."""
    prefix, dot, last = name.rpartition(".")
    for before, after in (("", name), (prefix + dot, last)):
        option = by_name.get(before + after.removeprefix("no").removeprefix("_"))
        if after.startswith("no") and option and option.is_bool:
            return option
    return None


def _nearest(name: str, by_name: Mapping[str, Option]) -> str:
    """The closest options by the last part of dotted names, so that `fac_alpha` finds `agent.fac_alpha`."""
    by_last: dict[str, list[str]] = {}
    for full in by_name:
        by_last.setdefault(full.rpartition(".")[2], []).append(f"--{full}")
    matches = difflib.get_close_matches(name.rpartition(".")[2], by_last, n=3, cutoff=0.5)
    if not matches:
        return "--help lists all options"
    return f"did you mean {' or '.join(full for match in matches for full in by_last[match])}?"
