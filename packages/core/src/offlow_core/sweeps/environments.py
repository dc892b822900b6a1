"""Where the command of a package is: each package has an environment of its own, with its own backend."""

import os
import subprocess
import sys
import tomllib
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from offlow_core.sweeps.errors import SweepError

FOLDER = ".venvs"


class Environments(Protocol):
    """Knows a package's program by its path, and sees to it that it is there."""

    def program(self, package: str, command: str) -> Path:
        """Where the program is once `prepare` has succeeded."""

    def prepare(self, package: str, command: str, extras: Collection[str]) -> None:
        """Make what is missing; SweepError where that fails."""


def choose_environments(name: str, start: Path) -> Environments:
    """What `--environment` means: auto, current, or a folder with one environment per package.

    auto: the workspace that `start` is in, which gets an environment per package; without one the current environment.
    """
    if name == "auto":
        root = find_workspace(start)
        return CurrentEnvironment() if root is None else WorkspaceEnvironments(root)
    return CurrentEnvironment() if name == "current" else FolderEnvironments(Path(name))


def find_workspace(start: Path) -> Path | None:
    """The uv workspace that a folder is in."""
    for folder in (start, *start.parents):
        file = folder / "pyproject.toml"
        if file.is_file() and "workspace" in tomllib.loads(file.read_text()).get("tool", {}).get("uv", {}):
            return folder
    return None


@dataclass(frozen=True)
class CurrentEnvironment:
    """The environment that this program runs in."""

    def program(self, package: str, command: str) -> Path:
        """Beside the running Python."""
        return Path(sys.prefix, "bin", command)

    def prepare(self, package: str, command: str, extras: Collection[str]) -> None:
        """Nothing but a look."""
        if not self.program(package, command).is_file():
            raise SweepError(
                f"{command} is not installed in {sys.prefix}: install {distribution(package)} there, or start "
                "offlow reproduce in a clone of the repository, where every package gets an environment of its own"
            )


@dataclass(frozen=True)
class FolderEnvironments:
    """A folder with an environment for each package, made by somebody else."""

    root: Path

    def program(self, package: str, command: str) -> Path:
        """`ROOT/<package>/bin/<command>`"""
        return (self.root / package / "bin" / command).absolute()

    def prepare(self, package: str, command: str, extras: Collection[str]) -> None:
        """Nothing but a look."""
        if not self.program(package, command).is_file():
            raise SweepError(f"{self.program(package, command)} is missing; --environment names the folder above")


@dataclass(frozen=True)
class WorkspaceEnvironments:
    """A clone of the repository; uv makes `.venvs/<package>`."""

    root: Path

    def program(self, package: str, command: str) -> Path:
        """In the package's environment."""
        return self.root / FOLDER / package / "bin" / command

    def prepare(self, package: str, command: str, extras: Collection[str]) -> None:
        """Bring the environment up to date.

        It is only added to (`--inexact`), because jobs of another sweep may be running in it.
        """
        self._lock()
        words = ["sync", "--frozen", "--quiet", "--inexact", "--no-dev", "--package", distribution(package)]
        for extra in sorted(self._known(package, extras)):
            words += ["--extra", extra]
        _uv(words, self.root, {"UV_PROJECT_ENVIRONMENT": str(self.root / FOLDER / package)})
        if not self.program(package, command).is_file():
            raise SweepError(f"{distribution(package)} has no command {command}; see `command` of the study")

    def _known(self, package: str, extras: Collection[str]) -> set[str]:
        """The extras without `cuda` where a package has none: PyTorch comes with CUDA."""
        file = self.root / "packages" / package / "pyproject.toml"
        if not file.is_file():
            raise SweepError(f"{self.root} has no packages/{package}; see `package` of the study")
        known = tomllib.loads(file.read_text())["project"].get("optional-dependencies", {})
        return {extra for extra in extras if extra != "cuda" or extra in known}

    def _lock(self) -> None:
        """Resolve the versions where that was never done, or done without the local wheels that are in force now."""
        lock = self.root / "uv.lock"
        wheels = [path for path in _find_links().split(",") if path]
        if lock.exists() and all(path in lock.read_text() for path in wheels):
            return
        lock.unlink(missing_ok=True)
        _uv(["lock", "--quiet"], self.root, {})


def distribution(package: str) -> str:
    """What a package of this repository is called where packages are installed."""
    return f"offlow-{package.replace('_', '-')}"


def _uv(words: list[str], root: Path, environment: dict[str, str]) -> None:
    try:
        # Not by `check`: what uv says is the message.
        done = subprocess.run(
            ["uv", *words],
            cwd=root,
            env={**os.environ, "UV_FIND_LINKS": _find_links(), **environment},
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError as error:
        raise SweepError("uv is needed to make the packages' environments: pip install uv") from error
    if done.returncode != 0:
        raise SweepError(f"uv {' '.join(words)} failed: {done.stderr.strip()}")


def _find_links() -> str:
    """Local wheels; uv reads no pip settings, so that those which pip is configured with are passed on."""
    return os.environ.get("UV_FIND_LINKS") or ",".join(os.environ.get("PIP_FIND_LINKS", "").split())
