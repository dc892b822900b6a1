"""The simulation below an environment's wrappers."""

from typing import Any

import gymnasium


def simulation_of(env: gymnasium.Env) -> Any:
    """The MuJoCo environment below the wrappers, with `model` and `data`.

    Those of gymnasium, gymnasium-robotics and OGBench share no class that has these, and each has more of its own.
    """
    return env.unwrapped
