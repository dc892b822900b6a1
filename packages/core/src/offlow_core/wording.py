"""Numbers as people write them."""


def counted(number: int, noun: str) -> str:
    """A number with its noun in the right form: `1 file`, `2,000 files`, `3 trajectories`."""
    if number == 1:
        return f"1 {noun}"
    return f"{number:,} {noun[:-1]}ies" if noun.endswith("ry") else f"{number:,} {noun}s"


def size(count: int) -> str:
    """Bytes in the largest decimal unit that leaves at least 1."""
    units = ("B", "kB", "MB", "GB", "TB")
    power = min(len(units) - 1, (len(str(count)) - 1) // 3)
    return f"{count} B" if power == 0 else f"{count / 1000**power:.1f} {units[power]}"
