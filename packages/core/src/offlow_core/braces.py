"""Names with alternatives in braces, as shells write them."""

import re

_BRACES = re.compile(r"\{([^{}]*)\}")
_RANGE = re.compile(r"(\d+)\.\.(\d+)")


def expand_braces(text: str) -> list[str]:
    """All words that a pattern with alternatives stands for, as shells have it: `task{1..5}`, `{pen,door}-v1`."""
    match = _BRACES.search(text)
    if match is None:
        return [text]
    numbers = _RANGE.fullmatch(match[1])
    inner = [str(n) for n in range(int(numbers[1]), int(numbers[2]) + 1)] if numbers else match[1].split(",")
    return [word for part in inner for word in expand_braces(text[: match.start()] + part + text[match.end() :])]
