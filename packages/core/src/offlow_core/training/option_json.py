"""Options records as JSON and back, without loss and without guessing."""

import json
import sys
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from types import NoneType
from typing import Any, Literal, get_args, get_origin, get_type_hints

from offlow_core.option_checks import OptionError, literal_choices
from offlow_core.suites.options import SuiteOptions
from offlow_core.training.option_tokens import near
from offlow_core.training.options import Options, RunOptions

_LATER = frozenset(field.name for field in fields(SuiteOptions)) | {"tensorboard", "wandb_group"}
"""Options that may come after a run was made: their defaults leave it as it was. Packages mark such options of their
own by `later` in a field's metadata."""


def to_json(options: RunOptions) -> dict[str, Any]:
    """Resolved options: run options flat, the agent's under `agent`, headed by its `agent_name`."""
    return _as_dict(options)


def to_text(options: RunOptions) -> str:
    """`to_json` as the indented text of `--print_config` and config.json."""
    return json.dumps(to_json(options), indent=2)


def from_json(variants: Mapping[str, type[Options]], record: Mapping[str, Any]) -> Options:
    """Options from what `to_json` made; the agent's name picks one of `variants`.

    Options of suites and loggers that are newer than the record take their defaults, which is said on stderr. Raises
    `OptionError` naming the key for an unknown agent, an unknown or missing key, or a value of another type.
    """
    agent = record.get("agent")
    if not isinstance(agent, Mapping) or "agent_name" not in agent:
        raise OptionError('the configuration has no agent: expected {"agent": {"agent_name": ...}}')
    if agent["agent_name"] not in variants:
        raise OptionError(f"unknown agent_name {agent['agent_name']!r}; {near(str(agent['agent_name']), variants)}")
    settings = {key: value for key, value in agent.items() if key != "agent_name"}
    newer: list[str] = []
    options = _from_dict(variants[agent["agent_name"]], {**record, "agent": settings}, "", newer)
    if newer:
        print(f"a configuration without {', '.join(newer)}: the defaults are taken for them", file=sys.stderr)
    return options


def _as_dict(record: Any) -> dict[str, Any]:
    named = {"agent_name": record.agent_name} if hasattr(record, "agent_name") else {}
    return named | {field.name: _as_value(getattr(record, field.name)) for field in fields(record)}


def _as_value(value: Any) -> Any:
    if is_dataclass(value):
        return _as_dict(value)
    return list(value) if isinstance(value, tuple) else value


def _from_dict(record_type: type[Any], record: Mapping[str, Any], prefix: str, newer: list[str]) -> Any:
    """The record; names of options that it lacks are added to `newer`."""
    hints = get_type_hints(record_type)
    names = [field.name for field in fields(record_type)]
    unknown = [key for key in record if key not in names]
    if unknown:
        raise OptionError(f"unknown key {prefix}{unknown[0]} in the configuration; {near(unknown[0], names)}")
    missing = [prefix + name for name in names if name not in record]
    later = _LATER | {prefix + field.name for field in fields(record_type) if field.metadata.get("later")}
    if not later.issuperset(missing):
        raise OptionError(f"the configuration lacks {', '.join(missing)}")
    newer += missing
    values = {name: _from_value(hints[name], value, prefix + name, newer) for name, value in record.items()}
    return record_type(**values)


def _from_value(hint: Any, value: Any, path: str, newer: list[str]) -> Any:
    if is_dataclass(hint):
        if not isinstance(value, Mapping):
            raise OptionError(f"{path} must be an object, got {value!r}")
        return _from_dict(hint, value, f"{path}.", newer)
    if literal_choices(hint):
        return value  # The record checks its choices itself.
    if get_origin(hint) is tuple:
        if not isinstance(value, list):
            raise OptionError(f"{path} must be a list, got {value!r}")
        return tuple(_from_value(get_args(hint)[0], item, path, newer) for item in value)
    accepted = get_args(hint) or (hint,)
    words = [word for choice in accepted if get_origin(choice) is Literal for word in get_args(choice)]
    accepted = [choice for choice in accepted if get_origin(choice) is not Literal]
    if type(value) in accepted or value in words:
        return value
    if type(value) is int and float in accepted:  # JSON writers may drop the point of a whole number.
        return float(value)
    expected = " or ".join([*("None" if choice is NoneType else choice.__name__ for choice in accepted), *words])
    raise OptionError(f"{path} must be {expected}, got {value!r}")
