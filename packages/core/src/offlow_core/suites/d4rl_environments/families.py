"""The environments of D4RL: names, widths, time limits. Imports no simulator."""

from dataclasses import dataclass
from typing import Literal

from offlow_core.errors import UserError


class FamilyError(UserError, ValueError):
    """A name that is no environment of D4RL."""


@dataclass(frozen=True)
class Family:
    """One environment, which all datasets and versions of its name share."""

    name: str
    kind: Literal["locomotion", "antmaze", "adroit", "kitchen"]
    """The module that builds it."""
    observation_width: int
    action_width: int
    episode_steps: int
    has_margins: bool = False
    """Whether all its geoms carry one contact margin, which newer MuJoCo versions add up."""
    has_noisy_quaternion: bool = False
    """Whether its start is given by a quaternion that is not of unit length."""


FAMILIES: dict[str, Family] = {
    family.name: family
    for family in (
        Family("halfcheetah", "locomotion", 17, 6, 1000),
        Family("hopper", "locomotion", 11, 3, 1000, has_margins=True),
        Family("walker2d", "locomotion", 17, 6, 1000),
        Family("ant", "locomotion", 111, 8, 1000, has_margins=True, has_noisy_quaternion=True),
        Family("antmaze-umaze", "antmaze", 29, 8, 700, has_margins=True, has_noisy_quaternion=True),
        Family("antmaze-medium", "antmaze", 29, 8, 1000, has_margins=True, has_noisy_quaternion=True),
        Family("antmaze-large", "antmaze", 29, 8, 1000, has_margins=True, has_noisy_quaternion=True),
        Family("pen", "adroit", 45, 24, 100, has_margins=True),
        Family("door", "adroit", 39, 28, 200, has_margins=True),
        Family("hammer", "adroit", 46, 26, 200, has_margins=True),
        Family("relocate", "adroit", 39, 30, 200, has_margins=True),
        Family("kitchen-complete", "kitchen", 60, 9, 280, has_noisy_quaternion=True),
        Family("kitchen-partial", "kitchen", 60, 9, 280, has_noisy_quaternion=True),
        Family("kitchen-mixed", "kitchen", 60, 9, 280, has_noisy_quaternion=True),
    )
}


def find_family(name: str) -> Family:
    """The family of this name, such as "antmaze-medium"; FamilyError where there is none."""
    if name not in FAMILIES:
        raise FamilyError(f"unknown D4RL environment {name!r}; expected one of: {', '.join(FAMILIES)}.")
    return FAMILIES[name]
