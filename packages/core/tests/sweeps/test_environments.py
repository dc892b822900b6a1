"""Where commands are; a workspace's environments are made by uv, for real."""

import subprocess
import sys
from pathlib import Path

import pytest

from offlow_core.sweeps.environments import (
    CurrentEnvironment,
    FolderEnvironments,
    WorkspaceEnvironments,
    choose_environments,
    find_workspace,
)
from offlow_core.sweeps.errors import SweepError

ROOT = """
[tool.uv.workspace]
members = ["packages/*"]
"""
PACKAGE = """
[project]
name = "offlow-NAME"
version = "0.1.0"
requires-python = ">=3.11"
dependencies = DEPENDENCIES

[project.optional-dependencies]
more = []

[project.scripts]
NAME = "NAME:main"

[build-system]
requires = ["uv_build>=0.9,<1"]
build-backend = "uv_build"

[tool.uv.build-backend]
module-name = "NAME"
"""


@pytest.fixture(scope="module")
def workspace(tmp_path_factory) -> Path:
    """Two packages that need nothing."""
    root = tmp_path_factory.mktemp("workspace")
    (root / "pyproject.toml").write_text(ROOT)
    for name in ("toy", "other"):
        source = root / "packages" / name / "src" / name
        source.mkdir(parents=True)
        text = PACKAGE.replace("NAME", name).replace("DEPENDENCIES", "[]")
        (root / "packages" / name / "pyproject.toml").write_text(text)
        (source / "__init__.py").write_text(f"def main():\n    print('{name} runs')\n")
    return root


@pytest.fixture
def offline(monkeypatch):
    """uv without a network: nothing here needs one."""
    monkeypatch.setenv("UV_OFFLINE", "1")
    monkeypatch.setenv("UV_PYTHON", sys.executable)


def test_what_the_option_means(workspace, tmp_path):
    inside = workspace / "packages" / "toy" / "src"
    assert find_workspace(inside) == workspace
    assert choose_environments("auto", inside) == WorkspaceEnvironments(workspace)
    assert choose_environments("auto", tmp_path) == CurrentEnvironment()
    assert choose_environments("current", inside) == CurrentEnvironment()
    assert choose_environments("somewhere", inside) == FolderEnvironments(Path("somewhere"))


def test_a_workspace_gets_an_environment_per_package(workspace, offline):
    environments = WorkspaceEnvironments(workspace)
    for package in ("toy", "other"):
        # PyTorch packages have no extra `cuda`, and need none.
        environments.prepare(package, package, {"more", "cuda"})
        program = environments.program(package, package)
        assert program == workspace / ".venvs" / package / "bin" / package
        assert subprocess.check_output([program], text=True) == f"{package} runs\n"
    assert not (workspace / ".venvs" / "toy" / "bin" / "other").exists()


@pytest.mark.parametrize(
    ("package", "command", "extras", "message"),
    [
        ("toy", "tow", {}, "offlow-toy has no command tow"),
        ("toy", "toy", {"less"}, "uv sync .* --extra less failed: .*less"),
        ("tow", "tow", {}, "has no packages/tow"),
    ],
)
def test_what_cannot_be_made_is_said(workspace, offline, package, command, extras, message):
    with pytest.raises(SweepError, match=message):
        WorkspaceEnvironments(workspace).prepare(package, command, extras)


def test_uv_has_to_be_there(workspace, monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(SweepError, match="pip install uv"):
        WorkspaceEnvironments(workspace).prepare("toy", "toy", ())


def test_a_missing_command_is_named():
    with pytest.raises(SweepError, match=r"nothing-like-it is not installed in .*: install offlow-diffusion-ql there"):
        CurrentEnvironment().prepare("diffusion_ql", "nothing-like-it", ())
    assert CurrentEnvironment().program("core", "offlow") == Path(sys.prefix, "bin", "offlow")
