"""How much memory this machine has left."""

from pathlib import Path

GB = 1 << 30
_MEMINFO = Path("/proc/meminfo")
_CGROUP = Path("/sys/fs/cgroup")


def available_gb(meminfo: Path = _MEMINFO, cgroup: Path = _CGROUP) -> float | None:
    """Memory that new programs can have, in GiB, within this container's limit; None where the system does not tell."""
    try:
        lines = dict(line.split(":") for line in meminfo.read_text().splitlines())
        free_bytes = 1024 * int(lines["MemAvailable"].split()[0])
    except (OSError, KeyError, ValueError):
        return None
    return min(free_bytes, _left_in_container(cgroup, free_bytes)) / GB


def _left_in_container(cgroup: Path, otherwise: int) -> int:
    """What cgroup v2 leaves; pages of files that can be dropped count as free."""
    try:
        limit = int((cgroup / "memory.max").read_text())  # "max" where there is none
        used = int((cgroup / "memory.current").read_text())
        stat = dict(line.split() for line in (cgroup / "memory.stat").read_text().splitlines())
    except (OSError, ValueError):
        return otherwise
    return limit - used + int(stat.get("inactive_file", 0))
