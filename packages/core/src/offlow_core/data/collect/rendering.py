"""Which OpenGL backend MuJoCo shall use."""

import ctypes.util
import os

from offlow_core.data.collect.protocol import CollectError


def rendering_backend(needed: bool) -> str:
    """A value for MUJOCO_GL: the user's choice, a window system's if there is one, else a headless one.

    Raises:
        CollectError: rendering is needed, and there is neither a display nor a headless OpenGL library.
    """
    if not needed:
        return "disabled"
    if "MUJOCO_GL" in os.environ:
        return os.environ["MUJOCO_GL"]
    if "DISPLAY" in os.environ:
        return "glfw"
    for library, backend in (("EGL", "egl"), ("OSMesa", "osmesa")):
        if ctypes.util.find_library(library):
            return backend
    raise CollectError(
        "rendered observations need OpenGL, but there is no display and neither libEGL nor libOSMesa is installed; "
        "on Debian or Ubuntu: apt-get install libegl1 libegl-mesa0 libgl1-mesa-dri"
    )
