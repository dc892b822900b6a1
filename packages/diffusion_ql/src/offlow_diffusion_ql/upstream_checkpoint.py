"""Checkpoints that the official driver (or its flow fork) writes: `actor_<epoch>.pth` and `critic_<epoch>.pth`."""

import pickle
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from offlow_core.errors import UserError
from offlow_diffusion_ql import upstream_names
from offlow_diffusion_ql.config import DiffusionQlConfig
from offlow_diffusion_ql.networks import HIDDEN_LAYERS
from offlow_diffusion_ql.schedules import SCHEDULES, make_schedule

Arrays = dict[str, np.ndarray]


class UpstreamCheckpointError(UserError, ValueError):
    """Files that are not such a checkpoint."""


@dataclass(frozen=True)
class UpstreamCheckpoint:
    """One epoch's networks in this package's names, and what their shapes and tables tell of the configuration."""

    epoch: int
    config: DiffusionQlConfig
    observation_dim: int
    action_dim: int
    actor: Arrays
    critic: Arrays | None
    """None where only the policy was saved (behaviour cloning)."""


def saved_epochs(folder: Path) -> list[int]:
    """Epochs of the policies in a folder, in order."""
    matches = (re.fullmatch(r"actor_(\d+)\.pth", path.name) for path in folder.glob("actor_*.pth"))
    return sorted(int(match[1]) for match in matches if match)


def read_checkpoint(folder: Path, epoch: int | None = None) -> UpstreamCheckpoint:
    """The checkpoint of an epoch, by default the newest; UpstreamCheckpointError where it is missing or damaged."""
    epochs = saved_epochs(folder)
    if not epochs or epoch not in (None, *epochs):
        wanted = "" if epoch is None else f" of epoch {epoch}"
        raise UpstreamCheckpointError(
            f"{folder} has no checkpoint{wanted}: expected actor_<epoch>.pth, there are {epochs or 'none'}"
        )
    epoch = epochs[-1] if epoch is None else epoch
    actor_path, critic_path = folder / f"actor_{epoch}.pth", folder / f"critic_{epoch}.pth"
    actor = _read(actor_path)
    critic = _read(critic_path) if critic_path.exists() else None
    try:
        return _interpreted(epoch, actor, critic)
    except KeyError as error:
        raise UpstreamCheckpointError(
            f"{actor_path} and {critic_path.name}: there is no {error}, which an official checkpoint has"
        ) from error
    except (ValueError, IndexError) as error:
        raise UpstreamCheckpointError(
            f"{actor_path} and {critic_path.name}: the shapes are not those of an official checkpoint ({error})"
        ) from error


def _read(path: Path) -> Arrays:
    try:
        # Tensors in containers, and nothing else: a file cannot run code.
        state = torch.load(path, map_location="cpu", weights_only=True)
        return {name: tensor.numpy() for name, tensor in state.items()}
    except (pickle.UnpicklingError, RuntimeError, EOFError, AttributeError, ValueError, OSError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UpstreamCheckpointError(
            f"{path} cannot be read as a PyTorch state of tensors ({reason}); copy or download it again"
        ) from error


def _interpreted(epoch: int, actor: Arrays, critic: Arrays | None) -> UpstreamCheckpoint:
    ours = upstream_names.policy_from_upstream(actor)
    hidden, inputs = ours["body.layers.0.weight"].shape
    action_dim, time_dim = len(ours[f"body.layers.{HIDDEN_LAYERS}.bias"]), ours["time.layers.0.weight"].shape[1]
    settings: dict[str, Any] = {"actor_hidden": hidden, "time_dim": time_dim, "algo": "bc" if critic is None else "ql"}
    settings |= {"policy": "flow"} if "betas" not in actor else _schedule(actor["betas"])
    if critic is not None:
        settings["critic_hidden"] = len(critic["q1_model.0.bias"])
    return UpstreamCheckpoint(
        epoch,
        DiffusionQlConfig(**settings),
        observation_dim=inputs - time_dim - action_dim,
        action_dim=action_dim,
        actor=ours,
        critic=None if critic is None else upstream_names.critic_from_upstream(critic),
    )


def _schedule(betas: np.ndarray) -> dict[str, Any]:
    """The settings of the schedule with these variances [T]: number of steps and name."""
    for name in SCHEDULES:
        if np.allclose(make_schedule(name, len(betas)).betas, betas, rtol=1e-5):
            return {"n_timesteps": len(betas), "beta_schedule": name}
    raise UpstreamCheckpointError(f"the noise variances {betas.tolist()} are of none of the schedules {SCHEDULES}")
