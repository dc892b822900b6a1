"""Checks of option records: every wrong value is an `OptionError` that says what was expected and what came."""

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


def check_choices(config: Any) -> None:
    """Raise `OptionError` unless every `Literal` field of the dataclass `config` holds one of its choices."""
    hints = get_type_hints(type(config))
    for item in fields(config):
        choices = literal_choices(hints[item.name])
        if choices:
            check(config, item.name, lambda value, choices=choices: value in choices, f"one of {list(choices)}")


def literal_choices(hint: Any) -> tuple[Any, ...]:
    """Values that a `Literal` (or a union of a `Literal` and None) admits; empty for any other type."""
    if get_origin(hint) is Literal:
        return get_args(hint)
    members = get_args(hint)
    literals = [member for member in members if get_origin(member) is Literal]
    if not literals:
        return ()
    return get_args(literals[0]) + ((None,) if type(None) in members else ())
