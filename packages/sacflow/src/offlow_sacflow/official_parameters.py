"""Whole agents from and to the parameters of the official JAX code, as flat arrays by path.

From scratch: `params/{actor,critic,target_critic,alpha}/...` and `stats/{actor,critic,target_critic}/...`; with chunks:
`params/modules_.../...` and `params/alpha/log_ent_coef`. Optimizers stay out: their moments are no part of a policy.
"""

from collections.abc import Iterator, Mapping

import numpy as np
from torch import nn

from offlow_core.torch.state_arrays import load_arrays, to_arrays
from offlow_sacflow.chunk.agent import ChunkAgent
from offlow_sacflow.chunk.flax_names import load_official, official_params
from offlow_sacflow.flax_parameters import (
    Arrays,
    FlaxArrays,
    FlaxParametersError,
    Table,
    from_flax,
    numbers_of,
    to_flax,
)
from offlow_sacflow.scratch.agent import SacFlow
from offlow_sacflow.scratch.flax_names import actor_table, critic_table

PARAMS, STATS = "params/", "stats/"
_ALPHA = f"{PARAMS}alpha/log_ent_coef"


def load_flax(agent: SacFlow | ChunkAgent, arrays: Mapping[str, np.ndarray]) -> None:
    """Fill an agent; FlaxParametersError names what is missing, unknown, of another size, or no usable number."""
    if isinstance(agent, ChunkAgent):
        load_official(agent, arrays)
        return
    used = set()
    for name, network, table in _networks(agent):
        places, state = (f"{PARAMS}{name}/", f"{STATS}{name}/"), network.state_dict()
        load_arrays(state, from_flax(table, FlaxArrays.of(arrays, *places), to_arrays(state)))
        used |= {path for path in arrays if path.startswith(places)}
    if agent.config.autotune:
        if _ALPHA not in arrays:
            raise FlaxParametersError(f"{_ALPHA} is missing; an agent with a fixed alpha has autotune=False")
        agent.log_alpha.data.fill_(float(numbers_of(_ALPHA, arrays[_ALPHA], ())))
        used.add(_ALPHA)
    unknown = sorted(set(arrays) - used)
    if unknown:
        raise FlaxParametersError(f"unknown arrays {unknown[:5]}; check the agent and its options")


def flax_arrays(agent: SacFlow | ChunkAgent) -> Arrays:
    """All of an agent's official leaves by path; those without effect are zeros."""
    if isinstance(agent, ChunkAgent):
        return official_params(agent)
    found: Arrays = {}
    for name, network, table in _networks(agent):
        leaves = to_flax(table, to_arrays(network.state_dict()))
        found |= {f"{PARAMS}{name}/{path}": array for path, array in leaves.params.items()}
        found |= {f"{STATS}{name}/{path}": array for path, array in leaves.statistics.items()}
    return found | ({_ALPHA: to_arrays({"a": agent.log_alpha.detach()})["a"]} if agent.config.autotune else {})


def _networks(agent: SacFlow) -> Iterator[tuple[str, nn.Module, Table]]:
    yield "actor", agent.actor, actor_table(agent.config)
    yield "critic", agent.critic, critic_table(agent.config)
    if agent.critic_target is not None:
        yield "target_critic", agent.critic_target, critic_table(agent.config)
