"""Skips this folder where the core is installed without its extra `torch`; small data and a watch for the rest."""

from importlib.util import find_spec

import numpy as np
import pytest

from offlow_core.data.transitions import Transitions

collect_ignore_glob = [] if find_spec("torch") else ["test_*.py"]


@pytest.fixture(scope="session", params=["states", "images"])
def transitions(request) -> Transitions:
    """Trajectories of 4, 1 and 6 transitions, over vectors of 3 or over images of 5 x 4 x 2."""
    return make_transitions((3,) if request.param == "states" else (5, 4, 2))


@pytest.fixture(scope="session")
def states() -> Transitions:
    """Trajectories of 4, 1 and 6 transitions over vectors of 3."""
    return make_transitions((3,))


def make_transitions(shape: tuple[int, ...]) -> Transitions:
    rng = np.random.default_rng(0)
    ends = np.isin(np.arange(11), [3, 4, 10])
    frames = rng.integers(0, 256, (22, *shape)).astype(np.float32 if len(shape) == 1 else np.uint8)
    now, after = frames[:11], frames[11:]
    after[~ends] = now[1:][~ends[:-1]]
    contents = {"actions": rng.uniform(-1, 1, (11, 2)), "rewards": rng.normal(size=11), "masks": rng.random(11) < 0.8}
    return Transitions.from_arrays(observations=now, next_observations=after, terminals=ends, **contents)
