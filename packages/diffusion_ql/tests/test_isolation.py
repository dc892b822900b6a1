"""What this package's environment and its command must do without."""

import os
import subprocess
import sys
from importlib.util import find_spec

import pytest


@pytest.mark.skipif("OFFLOW_ISOLATED" not in os.environ, reason="only this package's own environment is bare")
def test_the_other_backend_is_not_installed():
    assert find_spec("torch") is not None
    assert find_spec("jax") is None


def test_the_command_imports_its_backend_late():
    script = (
        "import sys\n"
        "import offlow_diffusion_ql.main\n"
        "heavy = {'jax', 'optax', 'torch', 'mujoco', 'ogbench', 'matplotlib', 'wandb'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
