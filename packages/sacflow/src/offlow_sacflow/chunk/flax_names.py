"""Where the official agents with chunks keep the parameters of ours."""

from collections.abc import Mapping

import numpy as np
from torch import Tensor, nn

from offlow_core.torch.networks import Mlp
from offlow_core.torch.state_arrays import load_arrays, to_arrays
from offlow_core.training.saved_arrays import part_of
from offlow_sacflow.chunk.agent import ChunkAgent
from offlow_sacflow.chunk.config import ChunkFlowTConfig
from offlow_sacflow.chunk.networks import ChunkCritic, GatedField, MlpField, OneStepActor, TokenField
from offlow_sacflow.chunk.sac_flow import ChunkSacFlow
from offlow_sacflow.flax_parameters import (
    Arrays,
    FlaxArrays,
    FlaxParametersError,
    Table,
    dense,
    from_flax,
    numbers_of,
    scale_and_bias,
    stacked_dense,
    to_flax,
    token_decoder,
)


def load_official(agent: ChunkAgent, params: Mapping[str, np.ndarray]) -> None:
    """Fill all networks, and the weight of the entropy, from official leaves by path.

    FlaxParametersError says which leaves are missing, unknown, of another size, or no usable numbers.
    """
    modules, weight = _modules(agent), _entropy_weight(agent)
    expected = [*(f"{module}/" for module in modules.values()), *weight]
    unknown = sorted(name for name in params if not name.startswith(tuple(expected)))
    if unknown or not set(weight) <= set(params):
        raise FlaxParametersError(
            f"the modules are not those of the agent {agent.config.agent_name}: expected {expected}, "
            f"unknown {unknown[:5]}; check which agent wrote them"
        )
    for network, module in modules.items():
        leaves, state = FlaxArrays.of(params, f"{module}/"), network.state_dict()
        load_arrays(state, from_flax(_table(network), leaves, to_arrays(state)))
    load_arrays(weight, {name: numbers_of(name, params[name], ()) for name in weight})


def official_params(agent: ChunkAgent) -> Arrays:
    """All official leaves by path; those without effect are zeros."""
    states = {network: to_arrays(network.state_dict()) for network in _modules(agent)}
    return _official(agent, states) | to_arrays(_entropy_weight(agent))


def official_gradients(agent: ChunkAgent, gradients: Mapping[str, Tensor]) -> Arrays:
    """Gradients of the agent, by official path; leaves without effect have zeros."""
    arrays = to_arrays(gradients)
    return _official(agent, {net: part_of(arrays, f"{name}.") for name, net in agent.networks.items()})


def _official(agent: ChunkAgent, states: Mapping[nn.Module, Arrays]) -> Arrays:
    modules, found = _modules(agent), {}
    for network, state in states.items():
        module = modules[network]
        leaves = to_flax(_table(network), state)
        found |= {f"{module}/{path}": array for path, array in leaves.params.items()}
    return found


def _modules(agent: ChunkAgent) -> dict[nn.Module, str]:
    """The official names of our networks."""
    is_transformer = isinstance(agent.config, ChunkFlowTConfig)
    names = {
        "critic": "critic",
        "flow": "actor_bc_flow",
        "actor": "actor_onestep_flow",
        "field": "actor_transformer" if is_transformer else "actor_onestep_flow",
    }
    found = {network: names[name] for name, network in agent.networks.items()}
    found[agent.critics.target] = "target_critic"
    return {network: f"params/modules_{name}" for network, name in found.items()}


def _entropy_weight(agent: ChunkAgent) -> dict[str, Tensor]:
    """Its logarithm, where it is learned."""
    learned = isinstance(agent, ChunkSacFlow) and agent.config.autotune_alpha
    return {"params/alpha/log_ent_coef": agent.entropy_weight.log} if learned else {}


def _table(network: nn.Module) -> Table:
    if isinstance(network, ChunkCritic):
        return _mlp("values", "value_net", network.values, stacked=True)
    if isinstance(network, TokenField):
        layers = len(network.decoder.layers)
        return token_decoder("decoder", network.width, layers, "LayerNorm") + dense("velocity", "velocity_head")
    if not isinstance(network, MlpField | OneStepActor):
        raise TypeError(f"the official agents have no {type(network).__name__}")
    table = _mlp("mlp", "mlp", network.mlp)
    if isinstance(network, GatedField):
        table += dense("gate.layers.0", "gate_net/layers_0") + dense("gate.layers.1", "gate_net/layers_2")
    return table


def _mlp(ours: str, theirs: str, mlp: Mlp, *, stacked: bool = False) -> Table:
    layer = stacked_dense if stacked else dense
    table: Table = []
    for i in range(len(mlp.layers)):
        table += layer(f"{ours}.layers.{i}", f"{theirs}/Dense_{i}")
    for i in range(len(mlp.norms)):
        table += scale_and_bias(f"{ours}.norms.{i}", f"{theirs}/LayerNorm_{i}")
    return table
