"""OpenGL without a display: choose MuJoCo's backend before it is imported, and say what is missing."""

import os
import sys
from typing import Any

from offlow_core.errors import UserError

_INSTALL_HINT = (
    "On Debian or Ubuntu: `apt-get install libegl1 libegl-mesa0 libgl1-mesa-dri` and MUJOCO_GL=egl, "
    "or `apt-get install libosmesa6` and MUJOCO_GL=osmesa."
)


class RenderingError(UserError, RuntimeError):
    """Images are needed, but OpenGL does not work here."""


def render_arguments(render_mode: str | None) -> dict[str, Any]:
    """Keyword arguments for `gymnasium.make`: not every environment takes a `render_mode`."""
    return {} if render_mode is None else {"render_mode": render_mode}


def choose_gl_backend() -> None:
    """On Linux without a display use EGL where it works, else no OpenGL at all; an existing MUJOCO_GL is kept.

    Call before anything imports `mujoco`, which reads the variable once. Without it tasks with state observations,
    which never render, print complaints of GLFW; with an EGL that has no driver they could not even be imported.
    """
    display = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    if sys.platform != "linux" or display or "MUJOCO_GL" in os.environ:
        return
    platform = os.environ.get("PYOPENGL_PLATFORM")
    os.environ["MUJOCO_GL"] = "egl"
    try:
        import dm_control._render  # noqa: F401 (the first of the two libraries' imports that fails without a driver)
    except (ImportError, AttributeError):
        os.environ["MUJOCO_GL"] = "disable"
        if platform is None:
            os.environ.pop("PYOPENGL_PLATFORM", None)


def require_rendering() -> None:
    """Raise RenderingError, with what to install, unless an off-screen image can be made."""
    choose_gl_backend()
    import mujoco

    backend = os.environ.get("MUJOCO_GL", "not set")
    if not hasattr(mujoco, "GLContext"):
        raise RenderingError(f"This needs OpenGL, but MUJOCO_GL is {backend}: no driver was found. {_INSTALL_HINT}")
    try:
        context = mujoco.GLContext(64, 64)
        context.make_current()
        context.free()
    except Exception as error:  # each backend has errors of its own
        raise RenderingError(
            f"This needs OpenGL, but making an image off screen failed (MUJOCO_GL {backend}: {error}). {_INSTALL_HINT}"
        ) from error
