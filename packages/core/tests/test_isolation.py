"""The core without a backend: neither installed nor imported."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

import offlow_core

BACKENDS = ("jax", "torch")


def modules() -> list[str]:
    """Every module that belongs to no backend; one that does says so in its name, as jax/... and plain_jax.py do."""
    root = Path(offlow_core.__file__).parent
    names = []
    for path in sorted(root.rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        if not set(BACKENDS) & {word for part in parts for word in part.split("_")}:
            names.append(".".join(("offlow_core", *(part for part in parts if part != "__init__"))))
    return names


def test_importing_the_core_imports_no_backend():
    names = modules()
    assert {"offlow_core.training.loop", "offlow_core.testing.run_battery"} <= set(names)
    script = (
        "import importlib, sys\n"
        f"for name in {names}:\n"
        "    importlib.import_module(name)\n"
        f"    loaded = set({BACKENDS}) & set(sys.modules)\n"
        "    assert not loaded, (name, loaded)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif("OFFLOW_ISOLATED" not in os.environ, reason="only the core's own environment is bare")
def test_installing_the_core_installs_no_backend():
    assert [name for name in BACKENDS if find_spec(name)] == []
