"""Checks of option records: every wrong value is an `OptionError` that says what was expected and what came."""

import math
from collections.abc import Callable
from dataclasses import fields
from typing import Any, Literal, get_args, get_origin, get_type_hints

from offlow_core.errors import UserError


class OptionError(UserError, ValueError):
    """An option has a value that no run could use."""


def check(config: Any, name: str, accepts: Callable[[Any], bool], expected: str) -> None:
    """Raise `OptionError` unless field `name` of `config` satisfies `accepts`; `expected` completes "must be ..."."""
    value = getattr(config, name)
    if not accepts(value):
        raise OptionError(f"{name} must be {expected}, got {value!r}")


def check_positive(config: Any, *names: str) -> None:
    """Raise `OptionError` unless these fields are finite numbers above 0."""
    for name in names:
        check(config, name, lambda value: 0 < value < math.inf, "above 0 and finite")


def check_not_negative(config: Any, *names: str) -> None:
    """Raise `OptionError` unless these fields are finite numbers from 0."""
    for name in names:
        check(config, name, lambda value: 0 <= value < math.inf, "at least 0 and finite")


def check_widths(config: Any, *names: str) -> None:
    """Raise `OptionError` unless these fields are layer widths."""
    for name in names:
        check(
            config,
            name,
            lambda value: isinstance(value, tuple) and len(value) > 0 and all(width > 0 for width in value),
            "a tuple of one or more positive layer widths",
        )


def check_choices(config: Any) -> None:
    """Raise `OptionError` unless every `Literal` field of the dataclass `config` holds one of its choices."""
    hints = get_type_hints(type(config))
    for item in fields(config):
        choices = literal_choices(hints[item.name])
        if choices:
            check(config, item.name, lambda value, choices=choices: value in choices, f"one of {list(choices)}")


def literal_choices(hint: Any) -> tuple[Any, ...]:
    """Values that a `Literal` (or its union with None) admits; empty where other values are admitted too."""
    if get_origin(hint) is Literal:
        return get_args(hint)
    members = get_args(hint)
    literals = [member for member in members if get_origin(member) is Literal]
    if not literals or set(members) - {literals[0], type(None)}:
        return ()
    return get_args(literals[0]) + ((None,) if type(None) in members else ())
