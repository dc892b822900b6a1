"""The spaces of environments, which gymnasium leaves open and the tasks here do not."""

import gymnasium


def box(space: gymnasium.Space) -> gymnasium.spaces.Box:
    """`space`, which has to be a Box, as observations and actions of every task are; ValueError where it is not."""
    if not isinstance(space, gymnasium.spaces.Box):
        raise ValueError(f"expected an environment whose observations and actions are Boxes, got {space}")
    return space
