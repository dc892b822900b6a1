"""Options of a sweep's jobs: from TOML values and from `name=value` words to the text that a command line has."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from offlow_core.nested import flattened
from offlow_core.sweeps.errors import SweepError


def flat_options(values: Mapping[str, Any], where: str) -> dict[str, str]:
    """Option name -> text; TOML makes tables of dotted names (`agent.lr = 1`), which become dotted names again."""
    return {name: _text(value, f"{where}: {name}") for name, value in flattened(values)}


def read_settings(words: Sequence[str], option: str) -> dict[str, str]:
    """`name=value` words as a mapping; `option` is what they were given to."""
    found: dict[str, str] = {}
    for word in words:
        name, equals, value = word.partition("=")
        name = name.strip().removeprefix("--").replace("-", "_")
        if not equals or not name:
            raise SweepError(f"--{option} {word}: expected NAME=VALUE, as in --{option} agent.discount=0.99")
        if name in found:
            raise SweepError(f"--{option} {name} is given twice")
        found[name] = value.strip()
    return found


def read_grid(words: Sequence[str]) -> dict[str, list[str]]:
    """`name=value,value` words as name -> values; commas within brackets do not separate: `widths=[64,64],[8,8]`."""
    grid = {name: _separated(text) for name, text in read_settings(words, "grid").items()}
    for name, values in grid.items():
        if "" in values or len(set(map(_distinguishing, values))) != len(values):
            raise SweepError(f"--grid {name}: expected different values separated by commas, got {','.join(values)!r}")
    return grid


def read_values(settings: Mapping[str, str]) -> dict[str, Any]:
    """Settings with numbers and true or false in place of texts that look like them, as an engine wants them."""
    return {name: _value(text) for name, text in settings.items()}


def _value(text: str) -> Any:
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    if re.fullmatch(r"-?\d+", text):
        return int(text)
    return float(text) if re.fullmatch(r"-?\d+\.\d*", text) else text


def _distinguishing(text: str) -> float | str:
    """By which 0.1, 0.10 and 1e-1 are one value, but 7 and 007 two."""
    is_number = re.fullmatch(r"-?(0|[1-9]\d*)(\.\d*)?(e[+-]?\d+)?", text)
    return float(text) if is_number else text


def _separated(text: str) -> list[str]:
    parts, depth = [""], 0
    for character in text:
        depth += (character in "[(") - (character in ")]")
        if character == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return [part.strip() for part in parts]


def _text(value: Any, where: str) -> str:
    if isinstance(value, list):
        return ",".join(_text(item, where) for item in value)
    if isinstance(value, str | bool | int | float):
        return str(value)
    raise SweepError(f"{where}: expected a number, a text, true, false or a list of them, got {value!r}")
