"""What this package's environment and its command must do without."""

import os
from importlib.util import find_spec

import pytest

from offlow_core.testing.commands import assert_imports_late


@pytest.mark.skipif("OFFLOW_ISOLATED" not in os.environ, reason="only this package's own environment is bare")
def test_the_other_backend_is_not_installed():
    assert find_spec("jax") is not None
    assert find_spec("torch") is None


def test_the_command_imports_its_backend_late():
    assert_imports_late("offlow_fac.main")
