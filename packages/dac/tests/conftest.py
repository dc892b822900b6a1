"""What several test modules share: one cache of compiled programs."""

import pytest

from offlow_core.testing.jax_agents import share_compiled_programs


@pytest.fixture(scope="session", autouse=True)
def compile_equal_programs_once(tmp_path_factory) -> None:
    """Most of the time of these tests is compilation, much of it of programs that another learner has compiled."""
    share_compiled_programs(tmp_path_factory.mktemp("programs"))
