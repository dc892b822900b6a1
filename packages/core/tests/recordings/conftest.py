"""Small recordings whose numbers can be checked by eye."""

from pathlib import Path

import numpy as np
import pytest

from offlow_core.data.recordings.recording import Recording


@pytest.fixture
def recording():
    """Makes rows whose state is their number, in episodes of the given lengths that are cut off or terminal."""

    def make(lengths=(3, 2), terminal=(False, True), **changes) -> Recording:
        rows = sum(lengths)
        terminals, timeouts = np.zeros(rows, bool), np.zeros(rows, bool)
        last = np.cumsum(lengths) - 1
        terminals[last[np.array(terminal)]] = True
        timeouts[last[~np.array(terminal)]] = True
        fields = {
            "path": Path("file.npz"),
            "format": "own",
            "observations": np.arange(rows, dtype=np.float32)[:, None] * [1, 10],
            "actions": np.linspace(-0.5, 0.5, rows, dtype=np.float32)[:, None],
            "rewards": np.arange(rows, dtype=np.float32),
            "terminals": terminals,
            "timeouts": timeouts,
            "next_observations": None,
            "extras": {},
        }
        return Recording(**(fields | changes))

    return make
