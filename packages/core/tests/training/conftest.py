"""Makes the fake learner and program importable by name, also in the modules that use them."""

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent))


@pytest.fixture
def stage(tmp_path, monkeypatch):
    """A task, a learner and commands of a program that is faked up to its backend."""
    from fake_program import Stage

    return Stage(tmp_path / "runs", monkeypatch)
