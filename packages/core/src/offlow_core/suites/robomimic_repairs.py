"""What keeps robosuite 1.5 from running with MuJoCo 4, put right in the running process."""

import logging
import warnings
from collections.abc import Callable
from types import ModuleType, SimpleNamespace

from offlow_core.rendering import choose_gl_backend
from offlow_core.suites.fitted_environment import UnusableEnvironmentError


def import_robosuite(name: str) -> ModuleType:
    """robosuite, repaired where this MuJoCo needs it, without its notices; UnusableEnvironmentError if not installed.

    `name` is the task that needs it.
    """
    choose_gl_backend()
    # Each start tells about optional packages and a personal settings file, each environment where its defaults lie.
    logging.getLogger("robosuite_logs").addFilter(lambda record: record.levelno >= logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of Python about escapes in its strings
            import robosuite
    except ModuleNotFoundError as error:
        if error.name != "robosuite":
            raise
        raise UnusableEnvironmentError(
            f"{name} is simulated by robosuite, which is not installed: add the extra `robomimic` "
            "(uv run --extra robomimic ..., pip install 'offlow-core[robomimic]'), or train without it: "
            "--eval_interval=0, and --online_steps=0 where the agent would go on online."
        ) from error
    if needs_repair():
        _repair()
    return robosuite


def needs_repair() -> bool:
    """Whether this MuJoCo stores the inertia matrix otherwise than robosuite reads it, as MuJoCo 4 does."""
    import mujoco

    return not hasattr(mujoco.MjData, "qM")


def _repair() -> None:
    import mujoco
    from robosuite.controllers.parts import controller
    from robosuite.utils.binding_utils import MjData, MjModel

    # An enumerator of MuJoCo 4 differs from a numpy integer of its value (not so the other way round): robosuite then
    # finds that a hinge is none.
    free, ball = int(mujoco.mjtJoint.mjJNT_FREE), int(mujoco.mjtJoint.mjJNT_BALL)
    MjModel.get_joint_qpos_addr = _joint_addresses("jnt_qposadr", {free: 7, ball: 4})
    MjModel.get_joint_qvel_addr = _joint_addresses("jnt_dofadr", {free: 6, ball: 3})
    # mj_fullM takes all data and in another order, because qM is gone. It is all that this module calls of MuJoCo.
    MjData.qM = property(lambda self: self._data)
    controller.mujoco = SimpleNamespace(mj_fullM=lambda model, full, data: mujoco.mj_fullM(model, data, full))


def _joint_addresses(field: str, widths: dict[int, int]) -> Callable:
    """A method of robosuite's models: a joint's name -> where its numbers begin (and end, if there are several)."""

    def address(self, name: str):
        joint = self.joint_name2id(name)
        begin, width = getattr(self, field)[joint], widths.get(int(self.jnt_type[joint]), 1)
        return begin if width == 1 else (begin, begin + width)

    return address
