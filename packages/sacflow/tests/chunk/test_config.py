"""Defaults that are published, and values that no agent could use."""

import pytest
from chunk_agents import make_config

from offlow_core.option_checks import OptionError
from offlow_sacflow.chunk.config import CHUNK_CONFIGS

COMMON = {
    "lr": 3e-4,
    "batch_size": 256,
    "value_hidden_dims": (512, 512, 512, 512),
    "layer_norm": True,
    "discount": 0.99,
    "tau": 0.005,
    "q_agg": "mean",
    "alpha": 100.0,
    "num_qs": 2,
    "action_chunking": True,
    "actor_type": "distill-ddpg",
    "weight_decay": 0.0,
    "horizon_length": 5,
}
FLOW = {
    "actor_hidden_dims": (512, 512, 512, 512),
    "actor_layer_norm": False,
    "flow_steps": 10,
    "use_fourier_features": False,
    "fourier_feature_dim": 64,
    "actor_num_samples": 32,
}
SAC = {
    "online_alpha": 100.0,
    "alpha_lr": 3e-4,
    "sac_alpha": 0.2,
    "autotune_alpha": True,
    "target_entropy": 0.0,
    "denoising_steps": 4,
    "inference_noise_std": 0.02,
    "online_noise_std": 0.05,
    "rollout_noise": "fresh",
    "alpha_loss_sign": "upstream",
}
TRANSFORMER = {"transformer_d_model": 128, "transformer_n_head": 4, "transformer_n_layers": 2}
GATE = {"gate_hidden": 256, "actor_hidden_dims": (512, 512, 512, 512), "actor_layer_norm": False}


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("acfql", FLOW),
        ("chunk_naive", {**FLOW, "flow_one_step": 10, "online_alpha": 100.0}),
        ("chunk_flow_t", {**SAC, **TRANSFORMER}),
        ("chunk_flow_g", {**SAC, **GATE}),
    ],
)
def test_defaults_are_the_official_ones(kind, expected):
    assert vars(CHUNK_CONFIGS[kind]()) == COMMON | expected


@pytest.mark.parametrize("kind", ["chunk_naive", "chunk_flow_t", "chunk_flow_g"])
def test_only_acfql_has_the_best_of_n(kind):
    with pytest.raises(OptionError, match="choose the agent acfql for it"):
        make_config(kind, actor_type="best-of-n")


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        ("acfql", {"horizon_length": 0}, "horizon_length must be at least 1, got 0"),
        ("acfql", {"q_agg": "max"}, "q_agg must be one of"),
        ("acfql", {"fourier_feature_dim": 5}, "fourier_feature_dim must be an even number from 4, got 5"),
        ("acfql", {"actor_hidden_dims": ()}, "actor_hidden_dims must be a tuple of one or more"),
        ("acfql", {"tau": 0.0}, "tau must be above 0 and at most 1, got 0.0"),
        ("acfql", {"weight_decay": -1.0}, "weight_decay must be at least 0"),
        ("chunk_naive", {"flow_one_step": 0}, "flow_one_step must be at least 1"),
        ("chunk_flow_t", {"transformer_d_model": 6}, "transformer_d_model must be a positive multiple of 4, got 6"),
        ("chunk_flow_t", {"transformer_n_head": 3}, "must be a multiple of transformer_n_head, got 8 and 3"),
        ("chunk_flow_t", {"online_noise_std": 0.0}, "online_noise_std must be above 0"),
        ("chunk_flow_t", {"target_entropy": float("nan")}, "target_entropy must be a finite number, got nan"),
        ("chunk_flow_t", {"sac_alpha": 0.0}, r"sac_alpha must be above 0 with autotune_alpha, got 0\.0"),
        ("chunk_flow_t", {"sac_alpha": -0.1, "autotune_alpha": False}, "sac_alpha must be at least 0 and finite, got"),
        ("chunk_flow_t", {"sac_alpha": float("inf")}, "sac_alpha must be at least 0 and finite, got inf"),
        ("chunk_flow_g", {"alpha": float("inf")}, "alpha must be at least 0 and finite, got inf"),
        ("chunk_flow_t", {"online_alpha": float("inf")}, "online_alpha must be at least 0 and finite, got inf"),
        ("chunk_naive", {"online_alpha": float("inf")}, "online_alpha must be at least 0 and finite, got inf"),
        ("chunk_flow_g", {"rollout_noise": "none"}, "rollout_noise must be one of"),
        ("chunk_flow_g", {"gate_hidden": 0}, "gate_hidden must be above 0"),
        ("chunk_flow_g", {"online_alpha": -1.0}, "online_alpha must be at least 0"),
    ],
)
def test_values_that_no_agent_could_use_are_refused(kind, options, message):
    with pytest.raises(OptionError, match=message):
        make_config(kind, **options)
