"""Jobs of a toy program, in an environment of its own."""

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent))


@pytest.fixture(scope="session")
def environments(tmp_path_factory) -> Path:
    """A folder for `--environment`: toy/bin/toy is the toy program."""
    folder = tmp_path_factory.mktemp("environments")
    program = folder / "toy" / "bin" / "toy"
    program.parent.mkdir(parents=True)
    program.write_text(f'#!/bin/sh\nexec {sys.executable} {Path(__file__).parent / "toy_program.py"} "$@"\n')
    program.chmod(0o755)
    return folder
