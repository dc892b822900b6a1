"""How many updates to hand to the device at once."""

import time
from collections.abc import Callable


class Pacer:
    """Chooses block lengths that take about `target_s` each, so that progress and stop requests are never far away.

    The lengths depend on the clock and therefore must not change what is computed: see `Learner.advance`.
    """

    def __init__(self, target_s: float = 1.0, clock: Callable[[], float] = time.monotonic):
        self._target_s, self._clock = target_s, clock
        self._steps = 1

    def run(self, advance: Callable[[int], None], limit: int) -> int:
        """Call `advance` with a number of steps up to `limit`; that number."""
        steps = min(self._steps, limit)
        start_s = self._clock()
        advance(steps)
        elapsed_s = self._clock() - start_s
        # At most fourfold: the first call of a phase is slow, and a busy machine must not set the pace for long.
        ideal = steps * self._target_s / max(elapsed_s, 1e-9)
        self._steps = max(1, min(int(ideal), 4 * self._steps))
        return steps
