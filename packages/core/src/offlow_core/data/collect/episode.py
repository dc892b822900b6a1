"""One collected episode: its random streams, its rows and its statistics."""

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import gymnasium


@dataclass(frozen=True)
class EpisodeSeeds:
    """Independent seeds for everything that draws random numbers during one attempt at an episode.

    They depend on (seed, episode, attempt) alone, so that any process can collect any episode. (The official scripts
    run all episodes of a set through a single stream instead; the distribution is the same.)
    """

    environment: int
    numpy_global: int
    action_space: int
    collector: int

    @classmethod
    def derive(cls, seed: int, episode: int, attempt: int = 0) -> "EpisodeSeeds":
        """Seeds of attempt number `attempt` (0 unless the episode was rejected before)."""
        return cls(*map(int, np.random.SeedSequence([seed, episode, attempt]).generate_state(4)))

    def start(self, action_space: "gymnasium.Space") -> np.random.Generator:
        """Seed the generators outside the environment and return the collector's own."""
        # The oracles and the mazes draw from numpy's global generator.
        np.random.seed(self.numpy_global)  # noqa: NPY002
        action_space.seed(self.action_space)
        return np.random.default_rng(self.collector)


@dataclass(frozen=True)
class Episode:
    """Rows in the layout of the official files, and counts such as `cube attempted`, `cube achieved`, `goals`."""

    arrays: dict[str, np.ndarray]
    counts: Counter[str]


@dataclass
class Recorder:
    """Gathers the rows of one episode."""

    rows: dict[str, list[Any]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.rows.get("actions", ()))

    def add(self, observation: np.ndarray, action: np.ndarray, info: dict[str, Any]) -> None:
        """Add one row: what was seen, what was executed, and the simulator's state before the step (from `info`)."""
        row = {"observations": observation, "actions": action, "qpos": info["prev_qpos"], "qvel": info["prev_qvel"]}
        if "prev_button_states" in info:
            row["button_states"] = info["prev_button_states"]
        for key, value in row.items():
            self.rows.setdefault(key, []).append(value)

    def arrays(self) -> dict[str, np.ndarray]:
        """The rows with the official keys and dtypes; `terminals` marks the last row."""
        stacked = {key: np.stack(values) for key, values in self.rows.items()}
        frames = stacked["observations"].dtype == np.uint8
        dtypes = {"observations": np.uint8 if frames else np.float32, "button_states": np.int64}
        arrays = {key: value.astype(dtypes.get(key, np.float32)) for key, value in stacked.items()}
        arrays["terminals"] = np.arange(len(self)) == len(self) - 1
        return arrays
