"""Trained behaviour flows, shared between runs that would train the same one."""

import hashlib
import json
import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from offlow_core.jax.state_arrays import from_arrays, to_arrays
from offlow_core.training.checkpoints import CheckpointError, CheckpointFolder
from offlow_fac.fac import FacState


def cache_folder(setting: str) -> Path | None:
    """The folder that `--behaviour_flow_cache` means: auto, none, or a path."""
    if setting == "none":
        return None
    if setting != "auto":
        return Path(setting)
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "offlow" / "behaviour_flows"


@dataclass(frozen=True)
class BehaviourStore:
    """Flow and optimizer of phase 1 by a hash of everything that shapes them: `settings` and the seed.

    A stored flow continues exactly like the one that was just trained: random draws belong to steps and phases, not to
    the process.
    """

    folder: Path
    settings: Mapping[str, Any]

    def path(self, seed: int) -> Path:
        """Folder of one seed's flow."""
        text = json.dumps({**self.settings, "seed": seed}, sort_keys=True)
        return self.folder / hashlib.sha256(text.encode()).hexdigest()[:24]

    def load(self, state: FacState, seed: int) -> FacState | None:
        """The state with the stored flow in place; None if there is no intact one."""
        try:
            checkpoint = CheckpointFolder(self.path(seed)).latest()
        except CheckpointError:
            return None  # damaged: it is trained and stored again
        if checkpoint is None:
            return None
        return state._replace(**from_arrays(_stored_part(state), checkpoint.arrays))

    def save(self, state: FacState, seed: int) -> None:
        """Store the state's flow with the settings beside it; a cache that cannot be written is no reason to stop."""
        folder = CheckpointFolder(self.path(seed), keep=1)
        try:
            folder.save(0, to_arrays(_stored_part(state)), {**self.settings, "seed": seed})
        except (CheckpointError, OSError) as error:
            warnings.warn(f"the behaviour flow is not shared with later runs: {error}", stacklevel=2)


def _stored_part(state: FacState) -> dict[str, Any]:
    return {"behaviour": state.behaviour, "behaviour_optimizer": state.behaviour_optimizer}
