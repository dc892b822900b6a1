"""Newer MuJoCo versions changed tasks that were published with older ones; this undoes two of the changes.

* From 3.5 on two geoms come into contact at the sum of their margins; before, it was the larger of the two. Models in
  which all geoms have a margin m thus make contact at 2 m.
* From 3.2 on the forward pass no longer normalises quaternions in `qpos`. Resets that add noise to a quaternion
  therefore return one of another length in the first observation.
"""

import functools
import sys
from collections.abc import Callable
from multiprocessing import parent_process

import gymnasium
import numpy as np

from offlow_core.errors import UserError
from offlow_core.suites.simulation import simulation_of

_TWO_SPHERES = """
<mujoco>
  <worldbody>
    <geom type="sphere" size="1" margin="0.1"/>
    <body pos="0 0 2.15"><freejoint/><geom type="sphere" size="1" margin="0.1"/></body>
  </worldbody>
</mujoco>
"""


_announced: set[str] = set()


class RepairError(UserError, ValueError):
    """A model to which a repair does not apply."""


@functools.cache
def margins_add_up() -> bool:
    """Whether this MuJoCo adds the margins of two geoms: two of 0.1 then touch at a distance of 0.15."""
    import mujoco

    model = mujoco.MjModel.from_xml_string(_TWO_SPHERES)
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    return data.ncon > 0


def restore_contact_margin(model) -> None:
    """Make each pair of geoms of the compiled `model` touch at the distance it had under the older rule.

    Half the largest margin m for every geom does so where all colliding geoms have margin m, or all but one;
    RepairError otherwise.
    """
    collides = (model.geom_contype > 0) | (model.geom_conaffinity > 0)
    margins = model.geom_margin[collides]
    largest = model.geom_margin.max()
    if np.count_nonzero(margins != largest) > 1:
        raise RepairError(
            "legacy_contact_margin needs a model whose colliding geoms all have one contact margin (one exception "
            f"allowed), but this one has {sorted(set(margins.tolist()))}. Turn the option off for this task."
        )
    model.geom_margin[:] = largest / 2


def announce_margins(environment: str) -> None:
    """Say on stderr that contact margins are restored: once per environment, and not in worker processes."""
    if parent_process() is None and environment not in _announced:
        _announced.add(environment)
        print(f"{environment}: contact margins as in MuJoCo 3.4 and before (legacy_contact_margin)", file=sys.stderr)


class UnitQuaternionsAtReset(gymnasium.Wrapper):
    """Normalises the quaternions of a MuJoCo environment at reset and computes the first observation anew.

    `observe` is the unwrapped environment's own method that returns the observation of its present state.
    """

    def __init__(self, env: gymnasium.Env, observe: Callable[[], np.ndarray]):
        super().__init__(env)
        self._observe = observe

    def reset(self, *, seed: int | None = None, options: dict | None = None):
        import mujoco

        _, info = self.env.reset(seed=seed, options=options)
        simulation = simulation_of(self)
        mujoco.mj_normalizeQuat(simulation.model, simulation.data.qpos)
        mujoco.mj_forward(simulation.model, simulation.data)
        return self._observe(), info
