"""Remarks of simulators that users can do nothing about, kept from them."""

import warnings
from collections.abc import Generator
from contextlib import contextmanager


@contextmanager
def settotalmass_remark_hidden() -> Generator[None]:
    """For models that say `settotalmass`, as gymnasium's half cheetah does.

    MuJoCo 4 remarks that a later release will not understand it, on stderr and in a file MUJOCO_LOG.TXT in the current
    folder, for each environment that is made. Other remarks become Python warnings meanwhile.
    """
    import mujoco

    previous = mujoco.get_mju_user_warning()
    mujoco.set_mju_user_warning(_pass_on_others)
    try:
        yield
    finally:
        mujoco.set_mju_user_warning(previous)


def _pass_on_others(message: str) -> None:
    if "settotalmass" not in message:
        warnings.warn(f"MuJoCo: {message}", stacklevel=2)


def hide_robotics_notice() -> None:
    """Before gymnasium-robotics is imported, which prints that its Adroit rewards changed, whatever is wanted of it."""
    from farama_notifications import notifications

    notifications.pop("gymnasium_robotics", None)
