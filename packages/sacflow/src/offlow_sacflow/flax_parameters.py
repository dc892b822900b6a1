"""Networks of the official JAX code and ours: the same numbers under other names, in other layouts.

A Flax network is a flat dictionary of parameters, such as `layer_0/Dense_0/kernel`, and one of running statistics. A
table lists which of its leaves make up which of our tensors.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from offlow_core.errors import UserError
from offlow_core.training.saved_arrays import part_of

Arrays = dict[str, np.ndarray]


class FlaxParametersError(UserError, ValueError):
    """Arrays that are not those of the network they are to fill."""


class FlaxArrays(NamedTuple):
    """A network's leaves by path; in the arrays of a whole agent, their paths begin as `places` say."""

    params: Mapping[str, np.ndarray]
    statistics: Mapping[str, np.ndarray] = MappingProxyType({})
    places: tuple[str, str] = ("", "")

    @classmethod
    def of(cls, agent: Mapping[str, np.ndarray], params: str, statistics: str | None = None) -> "FlaxArrays":
        """The network whose parameters, and running statistics if it has some, begin like this among an agent's."""
        found = {} if statistics is None else part_of(agent, statistics)
        return cls(part_of(agent, params), found, (params, statistics or ""))


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
    """A Flax leaf without effect on the network, and none of our tensors: forgotten when read, written as zeros."""

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


def from_flax(table: Table, network: FlaxArrays, like: Mapping[str, np.ndarray]) -> Arrays:
    """The state dictionary of our network, which now holds arrays of the shapes in `like`.

    FlaxParametersError names leaves that are missing, unknown, of another shape, or not the numbers that they must be.
    """
    expected = to_flax(table, like)
    place, place_of_statistics = network.places
    params = _checked(network.params, expected.params, place)
    statistics = _checked(network.statistics, expected.statistics, place_of_statistics)
    leaves = [leaf for leaf in table if isinstance(leaf, Leaf)]
    return {leaf.ours: _ours(leaf, statistics if leaf.is_statistic else params) for leaf in leaves}


def _checked(found: Mapping[str, np.ndarray], expected: Mapping[str, np.ndarray], place: str) -> Arrays:
    """The arrays of one kind as float32."""
    missing = sorted(place + path for path in expected.keys() - found.keys())
    unknown = sorted(place + path for path in found.keys() - expected.keys())
    if missing or unknown:
        raise FlaxParametersError(
            f"the arrays are not those of this network: missing {missing[:5]}, unknown {unknown[:5]}; "
            "check the sizes in the configuration, and that the file holds parameters and running statistics"
        )
    return {path: numbers_of(place + path, found[path], array.shape) for path, array in expected.items()}


def numbers_of(path: str, array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The leaf at a path as float32; FlaxParametersError unless it has this shape and finite real numbers."""
    if array.dtype.kind not in "fiu":
        raise FlaxParametersError(f"{path} must hold real numbers, got {array.dtype}")
    if array.shape != shape:
        raise FlaxParametersError(
            f"{path} must have shape {shape}, got {array.shape}; check the sizes in the configuration"
        )
    with np.errstate(over="ignore"):  # what is too large for float32 is not finite then
        numbers = np.asarray(array, np.float32)
    if not np.isfinite(numbers).all():
        raise FlaxParametersError(f"{path} must hold finite float32 numbers, got {array[~np.isfinite(numbers)][0]}")
    if path.endswith(("/var", "/steps")) and (numbers < 0).any():
        raise FlaxParametersError(f"{path} must hold no negative number, got {numbers.min()}")
    return numbers


def _ours(leaf: Leaf, source: Mapping[str, np.ndarray]) -> np.ndarray:
    parts = [source[path] for path in leaf.theirs]
    array = np.stack(parts) if len(parts) > 1 else parts[0]
    return array.T if leaf.transposed else array


def to_flax(table: Table, state: Mapping[str, np.ndarray]) -> FlaxArrays:
    """The Flax leaves of our network: counters as int32 where they are whole numbers, those without effect as zeros."""
    params: Arrays = {leaf.theirs: np.zeros(leaf.shape, np.float32) for leaf in table if isinstance(leaf, Idle)}
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
