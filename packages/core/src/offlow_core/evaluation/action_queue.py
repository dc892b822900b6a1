"""Open-loop execution of action chunks."""

from collections import deque

import numpy as np


class ActionQueue:
    """The actions that a policy has decided on and an environment has not executed yet.

    A policy is asked again when the queue is empty, so all actions of a chunk are executed whatever is observed in
    between. Whoever owns the environment clears the queue when an episode ends.
    """

    def __init__(self) -> None:
        self._actions: deque[np.ndarray] = deque()

    def __len__(self) -> int:
        return len(self._actions)

    def add(self, actions: np.ndarray) -> None:
        """Append one action [A] or the h actions of a chunk [h, A]."""
        if actions.ndim not in (1, 2):
            raise ValueError(f"expected an action [A] or a chunk [h, A], got an array of shape {actions.shape}")
        self._actions.extend(np.atleast_2d(actions))

    def pop(self) -> np.ndarray:
        """Remove and return the next action [A]; IndexError if there is none."""
        return self._actions.popleft()

    def remaining(self, action_shape: tuple[int, ...]) -> np.ndarray:
        """The actions that are left, [n, *action_shape]."""
        return np.stack(self._actions) if self._actions else np.zeros((0, *action_shape), np.float32)

    def clear(self) -> None:
        """Forget what is left of a chunk, because its episode is over."""
        self._actions.clear()
