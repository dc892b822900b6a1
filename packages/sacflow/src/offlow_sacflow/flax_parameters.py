"""Networks of the official JAX code and ours: the same numbers under other names, in other layouts.

A Flax network is a flat dictionary of parameters, such as `layer_0/Dense_0/kernel`, and one of running statistics. A
table lists which of its leaves make up which of our tensors.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from offlow_core.errors import UserError

Arrays = dict[str, np.ndarray]


class FlaxParametersError(UserError, ValueError):
    """Arrays that are not those of the network they are to fill."""


class FlaxArrays(NamedTuple):
    """A network's leaves by path."""

    params: Mapping[str, np.ndarray]
    statistics: Mapping[str, np.ndarray] = {}


@dataclass(frozen=True)
class Leaf:
    """One of our tensors, by its name in the state dictionary, and the Flax leaf that holds it.

    Several leaves are stacked on a new first axis, as the members of an ensemble.
    """

    ours: str
    theirs: tuple[str, ...]
    transposed: bool = False
    is_statistic: bool = False


@dataclass(frozen=True)
class Idle:
    """A Flax leaf without effect on the network, and none of our tensors: written as it was read, or as zeros."""

    theirs: str
    shape: tuple[int, ...]


Table = list[Leaf | Idle]


def dense(ours: str, theirs: str) -> Table:
    """An `nn.Linear`, whose weight is a kernel transposed."""
    return [Leaf(f"{ours}.weight", (f"{theirs}/kernel",), transposed=True), Leaf(f"{ours}.bias", (f"{theirs}/bias",))]


def stacked_dense(ours: str, *theirs: str) -> Table:
    """An `EnsembleLinear`: from a layer of an ensemble, or with one layer per member."""
    return [
        Leaf(f"{ours}.weight", tuple(f"{name}/kernel" for name in theirs)),
        Leaf(f"{ours}.bias", tuple(f"{name}/bias" for name in theirs)),
    ]


def scale_and_bias(ours: str, theirs: str) -> Table:
    """A normalisation without statistics, or the parameters of one with them."""
    return [Leaf(f"{ours}.weight", (f"{theirs}/scale",)), Leaf(f"{ours}.bias", (f"{theirs}/bias",))]


def batch_renorm(ours: str, theirs: str) -> Table:
    """A batch renormalisation with its statistics."""
    statistics = [Leaf(f"{ours}.{name}", (f"{theirs}/{name}",), is_statistic=True) for name in ("mean", "var", "steps")]
    return scale_and_bias(ours, theirs) + statistics


def token_decoder(ours: str, width: int, layers: int, norm: str) -> Table:
    """A `TokenDecoder` that is normalised by BatchRenorm or LayerNorm."""
    numbered = {"memory": (0, 1), "time": (2, 3, 4)}
    table = dense(f"{ours}.action", "action_proj")
    for name, numbers in numbered.items():
        for i, number in enumerate(numbers):
            table += dense(f"{ours}.{name}.layers.{i}", f"Dense_{number}")
    for layer in range(layers):
        table += _decoder_layer(f"{ours}.layers.{layer}", f"layer_{layer}", width, norm)
    return table


def _decoder_layer(ours: str, theirs: str, width: int, norm: str) -> Table:
    table = dense(f"{ours}.expand", f"{theirs}/Dense_0") + dense(f"{ours}.contract", f"{theirs}/Dense_1")
    for mine, name in (("self_attention", "self_attn"), ("cross_attention", "cross_attn")):
        table += dense(f"{ours}.{mine}.value", f"{theirs}/{name}/v_proj")
        table += dense(f"{ours}.{mine}.output", f"{theirs}/{name}/out_proj")
        for idle in ("q_proj", "k_proj"):
            shapes = {"kernel": (width, width), "bias": (width,)}
            table += [Idle(f"{theirs}/{name}/{idle}/{kind}", shape) for kind, shape in shapes.items()]
    normalisation = batch_renorm if norm == "BatchRenorm" else scale_and_bias
    for i in range(3):
        table += normalisation(f"{ours}.norms.{i}", f"{theirs}/{norm}_{i}")
    return table


def from_flax(table: Table, network: FlaxArrays) -> Arrays:
    """The state dictionary of our network; FlaxParametersError names leaves that are missing or unknown."""
    _check_names("parameters", network.params, _paths(table, statistics=False))
    _check_names("running statistics", network.statistics, _paths(table, statistics=True))
    return {leaf.ours: _ours(leaf, network) for leaf in table if isinstance(leaf, Leaf)}


def _paths(table: Table, *, statistics: bool) -> set[str]:
    leaves = [leaf for leaf in table if isinstance(leaf, Leaf) and leaf.is_statistic == statistics]
    idle = [] if statistics else [leaf.theirs for leaf in table if isinstance(leaf, Idle)]
    return {path for leaf in leaves for path in leaf.theirs} | set(idle)


def _check_names(what: str, found: Iterable[str], expected: set[str]) -> None:
    missing, unknown = sorted(expected - set(found)), sorted(set(found) - expected)
    if missing or unknown:
        raise FlaxParametersError(
            f"the {what} are not those of this network: missing {missing[:5]}, unknown {unknown[:5]}; "
            "check the sizes in the configuration, and that the checkpoint holds parameters and statistics"
        )


def _ours(leaf: Leaf, network: FlaxArrays) -> np.ndarray:
    source = network.statistics if leaf.is_statistic else network.params
    parts = [np.asarray(source[path], np.float32) for path in leaf.theirs]
    array = np.stack(parts) if len(parts) > 1 else parts[0]
    return array.T if leaf.transposed else array


def to_flax(
    table: Table, state: Mapping[str, np.ndarray], idle: Mapping[str, np.ndarray] = MappingProxyType({})
) -> FlaxArrays:
    """The Flax leaves of our network; counters as int32 where they are whole numbers.

    Leaves without effect are taken from `idle`, such as the parameters that the network came with, and are zeros if
    they are not there.
    """
    params: Arrays = {
        leaf.theirs: idle.get(leaf.theirs, np.zeros(leaf.shape, np.float32)) for leaf in table if isinstance(leaf, Idle)
    }
    statistics: Arrays = {}
    for leaf in table:
        if isinstance(leaf, Leaf):
            (statistics if leaf.is_statistic else params).update(_theirs(leaf, state[leaf.ours]))
    return FlaxArrays(params, statistics)


def _theirs(leaf: Leaf, array: np.ndarray) -> Arrays:
    array = array.T if leaf.transposed else array
    if leaf.is_statistic and leaf.ours.endswith("steps") and (array == np.round(array)).all():
        array = array.astype(np.int32)
    return dict(zip(leaf.theirs, array if len(leaf.theirs) > 1 else [array], strict=True))
