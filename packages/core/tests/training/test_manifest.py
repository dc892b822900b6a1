"""Manifests and git revisions."""

import json
import os
import platform
import subprocess
from importlib.metadata import version

import pytest

from offlow_core.training.manifest import build_manifest, git_revision

IDENTITY = {"GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b", "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@b"}


def git(folder, *arguments):
    environment = os.environ | IDENTITY | {"GIT_CONFIG_GLOBAL": os.devnull}
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout.strip()


def test_a_manifest_says_what_a_run_was_made_with():
    manifest = build_manifest(
        packages=["numpy", "no-such-package"],
        device="cpu, 2 cores",
        dataset={"files": [{"name": "a.npz", "sha256": "00"}]},
        semantics={"success_timing": "pre"},
        argv=["fac", "--env_name", "a b"],
    )
    assert manifest["packages"] == {"numpy": version("numpy"), "no-such-package": None}
    assert manifest["command"] == "fac --env_name 'a b'"
    assert manifest["device"] == "cpu, 2 cores"
    assert manifest["python"] == platform.python_version()
    assert manifest["dataset"]["files"][0]["name"] == "a.npz"
    assert manifest["semantics"] == {"success_timing": "pre"}
    assert json.loads(json.dumps(manifest, allow_nan=False)) == manifest


def test_code_outside_a_checkout_has_no_revision(tmp_path):
    (tmp_path / "code.py").touch()
    assert git_revision(tmp_path / "code.py") is None


def test_without_git_there_is_no_revision(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert git_revision(tmp_path / "code.py") is None


@pytest.fixture
def checkout(tmp_path):
    git(tmp_path, "init", "--quiet")
    (tmp_path / "code.py").write_text("a = 1\n")
    git(tmp_path, "add", "code.py")
    return tmp_path


def test_a_checkout_without_a_commit_has_no_revision(checkout):
    assert git_revision(checkout / "code.py") is None


def test_a_revision_is_dirty_when_tracked_files_changed(checkout):
    git(checkout, "commit", "--quiet", "-m", "first")
    revision = git(checkout, "rev-parse", "HEAD")
    (checkout / "notes.txt").touch()
    assert git_revision(checkout / "code.py") == {"revision": revision, "dirty": False}
    (checkout / "code.py").write_text("a = 2\n")
    assert git_revision(checkout / "code.py") == {"revision": revision, "dirty": True}


def test_installed_code_does_not_take_the_revision_of_the_checkout_around_it(checkout):
    git(checkout, "commit", "--quiet", "-m", "first")
    installed = checkout / ".venv" / "lib" / "code.py"
    installed.parent.mkdir(parents=True)
    installed.touch()
    assert git_revision(installed) is None
