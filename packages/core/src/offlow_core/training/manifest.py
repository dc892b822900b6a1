"""What a run was made with, so that its numbers can be explained and made again."""

import os
import platform
import shlex
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

GIT_TIMEOUT_S = 10.0


def build_manifest(
    *,
    packages: Sequence[str],
    device: str,
    dataset: Mapping[str, Any],
    semantics: Mapping[str, Any],
    argv: Sequence[str] | None = None,
    source: Path = Path(__file__),
) -> dict[str, Any]:
    """JSON values that describe the software, the machine and the data of a run.

    `packages` are distribution names, `dataset` is the origin of the data and `semantics` what the suite says of the
    task. `source` is a file of the code whose git revision counts.
    """
    return {
        "created": datetime.now(UTC).isoformat(),
        "command": shlex.join(sys.argv if argv is None else argv),
        "packages": {name: _version(name) for name in packages},
        "git": git_revision(source),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "host": socket.gethostname(),
        "cpus": os.cpu_count(),
        "device": device,
        "dataset": dict(dataset),
        "semantics": dict(semantics),
    }


def git_revision(source: Path) -> dict[str, Any] | None:
    """Commit of the checkout that tracks `source` and whether tracked files differ from it; None without one.

    A file that git does not track (code installed into a checkout's virtual environment) has no revision.
    """
    folder = source.resolve().parent
    if _git(folder, "ls-files", "--error-unmatch", source.name) is None:
        return None
    revision = _git(folder, "rev-parse", "HEAD")
    changes = _git(folder, "status", "--porcelain", "--untracked-files=no")
    if revision is None or changes is None:
        return None
    return {"revision": revision, "dirty": changes != ""}


def _git(folder: Path, *arguments: str) -> str | None:
    """What git prints, None where it fails (no checkout, no commit yet) or is not installed."""
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=GIT_TIMEOUT_S, check=False
        )
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
