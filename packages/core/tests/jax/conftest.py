"""Skips this folder where the core is installed without its extra `jax`; a small dataset for the rest."""

from importlib.util import find_spec

import numpy as np
import pytest

from offlow_core.data.transitions import Transitions

collect_ignore_glob = [] if find_spec("jax") else ["test_*.py"]


def make_transitions(lengths: tuple[int, ...], shape: tuple[int, ...], seed: int = 0) -> Transitions:
    """Trajectories of these lengths with random contents; uint8 where observations are images."""
    rng = np.random.default_rng(seed)
    n = sum(lengths)
    images = len(shape) == 3
    frames = rng.integers(0, 256, (2, n, *shape), np.uint8) if images else rng.normal(size=(2, n, *shape))
    now, after = frames if images else frames.astype(np.float32)
    ends = np.cumsum(lengths) - 1
    follows = np.setdiff1d(np.arange(n), ends)
    after[follows] = now[follows + 1]
    return Transitions.from_arrays(
        observations=now,
        next_observations=after,
        actions=rng.uniform(-1, 1, (n, 2)),
        rewards=rng.normal(size=n),
        masks=(rng.random(n) < 0.8),
        terminals=np.isin(np.arange(n), ends),
    )


@pytest.fixture(scope="module")
def states() -> Transitions:
    """Trajectories of 4, 1 and 6 transitions over vectors of 3."""
    return make_transitions((4, 1, 6), (3,))


@pytest.fixture(scope="module")
def images() -> Transitions:
    """Trajectories of 4, 1 and 6 transitions over images of 7 x 6 x 2."""
    return make_transitions((4, 1, 6), (7, 6, 2))


@pytest.fixture(scope="session", autouse=True)
def compile_equal_programs_once(tmp_path_factory):
    """Most of the time of these tests is compilation, much of it of programs that another learner has compiled."""
    from offlow_core.testing.jax_agents import share_compiled_programs

    share_compiled_programs(tmp_path_factory.mktemp("programs"))
