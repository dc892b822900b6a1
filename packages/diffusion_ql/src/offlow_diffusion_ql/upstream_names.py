"""Parameters of the official networks, and of ours: the same numbers under other names."""

from collections.abc import Mapping

import numpy as np

from offlow_diffusion_ql.networks import HIDDEN_LAYERS

HEADS = ("q1_model", "q2_model")
_POLICY = {
    "time.layers.0": "model.time_mlp.1",
    "time.layers.1": "model.time_mlp.3",
    **{f"body.layers.{i}": f"model.mid_layer.{2 * i}" for i in range(HIDDEN_LAYERS)},
    f"body.layers.{HIDDEN_LAYERS}": "model.final_layer",
}
_KINDS = ("weight", "bias")  # the critics' weights are the official ones transposed; a bias is its own transpose


def policy_from_upstream(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Parameters of a `PolicyNetwork`; KeyError names one that is missing. Schedule buffers are left out."""
    return {
        f"{ours}.{kind}": np.asarray(arrays[f"{theirs}.{kind}"]) for ours, theirs in _POLICY.items() for kind in _KINDS
    }


def policy_to_upstream(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Parameters of the official network from those of a `PolicyNetwork`."""
    return {
        f"{theirs}.{kind}": np.asarray(arrays[f"{ours}.{kind}"]) for ours, theirs in _POLICY.items() for kind in _KINDS
    }


def critic_from_upstream(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Parameters of a `TwinCritic`; KeyError names one that is missing."""
    return {
        f"values.layers.{i}.{kind}": np.stack([arrays[f"{head}.{2 * i}.{kind}"].T for head in HEADS])
        for i in range(HIDDEN_LAYERS + 1)
        for kind in _KINDS
    }


def critic_to_upstream(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Parameters of the official critic from those of a `TwinCritic`."""
    return {
        f"{head}.{2 * i}.{kind}": np.asarray(arrays[f"values.layers.{i}.{kind}"][h]).T
        for h, head in enumerate(HEADS)
        for i in range(HIDDEN_LAYERS + 1)
        for kind in _KINDS
    }
