"""Where the official networks keep the parameters and running statistics of ours."""

from collections.abc import Callable, Mapping

from offlow_sacflow.flax_parameters import (
    Table,
    batch_renorm,
    dense,
    stacked_dense,
    token_decoder,
)
from offlow_sacflow.scratch.config import FlowGConfig, FlowTConfig, NaiveConfig, ScratchConfig


def actor_table(config: ScratchConfig) -> Table:
    """Of a velocity network."""
    return _ACTOR_TABLES[type(config)](config)


def critic_table(config: ScratchConfig) -> Table:
    """Of a critic ensemble."""
    table: Table = []
    for i in range(3):
        table += stacked_dense(f"layers.{i}", f"VmapQNetwork_0/Dense_{i}")
        if config.use_batch_norm:
            table += batch_renorm(f"norms.{i}", f"VmapQNetwork_0/BatchRenorm_{i}")
    return table


def _flow_t(config: FlowTConfig) -> Table:
    norm = "BatchRenorm" if config.use_batch_norm else "LayerNorm"
    table = token_decoder("decoder", config.d_model, config.n_layers, norm)
    table += dense("mean_head", "velocity_mean_head") + dense("log_std_head", "velocity_log_std_head")
    if config.use_batch_norm:
        table += batch_renorm("observation_norm", "BatchRenorm_0")
        for step in range(config.denoising_steps):
            table += batch_renorm(f"action_norms.{step}", f"BatchRenorm_{step + 1}")
    return table


def _flow_g(config: FlowGConfig) -> Table:
    table = dense("time.layers.0", "time_mlp/layers_1") + dense("time.layers.1", "time_mlp/layers_3")
    for i, layer in enumerate(("layers_0", "layers_2")):
        table += stacked_dense(f"gate_and_candidate.layers.{i}", f"gate_net/{layer}", f"candidate_net/{layer}")
    for i, layer in enumerate(("layers_0", "layers_2", "layers_4")):
        table += dense(f"log_std.layers.{i}", f"fc_logstd/{layer}")
    return table + (batch_renorm("norm", "bn") if config.use_batch_norm else [])


def _naive(config: NaiveConfig) -> Table:
    table = dense("body.layers.0", "fc1") + dense("body.layers.1", "fc2")
    table += dense("mean_head", "fc_mean") + dense("log_std_head", "fc_logstd")
    return table + (batch_renorm("norm", "bn") if config.use_batch_norm else [])


_ACTOR_TABLES: Mapping[type[ScratchConfig], Callable[..., Table]] = {
    FlowTConfig: _flow_t,
    FlowGConfig: _flow_g,
    NaiveConfig: _naive,
}
