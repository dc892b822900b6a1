"""The official defaults, and what is refused."""

from dataclasses import asdict

import pytest

from offlow_core.option_checks import OptionError
from offlow_sacflow.scratch.config import CONFIGS

COMMON = {
    **{"denoising_steps": 4, "batch_size": 512, "gamma": 0.99, "tau": 1.0, "policy_lr": 3e-4, "q_lr": 1e-3},
    **{"adam_b1": 0.5, "alpha": 0.2, "autotune": True, "target_entropy": 0.0, "policy_delay": 3, "n_critics": 2},
    **{"q_hidden": 1024, "crossq_style": True, "use_batch_norm": True, "batch_norm_momentum": 0.99},
    **{"batch_norm_eps": 1e-3, "batch_norm_r_max": 3.0, "batch_norm_d_max": 5.0, "batch_norm_warmup_steps": 100_000},
    **{"log_std_min": -5.0, "log_std_max": 2.0},
}
OWN = {
    "flow_t": {
        **{"d_model": 96, "n_head": 4, "n_layers": 2},
        **{"path_logprob": "upstream", "freeze_null_params": False},
    },
    "flow_g": {"gate_hidden": 512, "time_emb_dim": 32, "logstd_hidden": 512},
    "naive": {"actor_hidden": 512},
}


@pytest.mark.parametrize("kind", OWN)
def test_defaults_are_those_of_the_official_scripts(kind):
    assert asdict(CONFIGS[kind]()) == COMMON | OWN[kind]
    assert CONFIGS[kind].agent_name == kind


@pytest.mark.parametrize(
    ("kind", "changes", "message"),
    [
        ("naive", {"denoising_steps": 0}, "denoising_steps must be at least 1, got 0"),
        ("naive", {"gamma": 1.5}, "gamma must be between 0 and 1"),
        ("naive", {"tau": 0.0}, "tau must be above 0"),
        ("naive", {"alpha": 0.0}, r"alpha must be above 0 with autotune, got 0\.0"),
        ("naive", {"alpha": -0.1, "autotune": False}, r"alpha must be at least 0 and finite, got -0\.1"),
        ("naive", {"alpha": float("inf")}, "alpha must be at least 0 and finite, got inf"),
        ("naive", {"policy_lr": float("inf")}, "policy_lr must be above 0 and finite, got inf"),
        ("naive", {"target_entropy": float("nan")}, "target_entropy must be a finite number, got nan"),
        ("naive", {"log_std_min": float("nan")}, "log_std_min must be a finite number, got nan"),
        ("naive", {"log_std_max": float("inf")}, "log_std_max must be a finite number, got inf"),
        ("naive", {"adam_b1": 1.0}, "adam_b1 must be at least 0 and below 1"),
        ("naive", {"batch_norm_r_max": 0.5}, "batch_norm_r_max must be at least 1"),
        ("naive", {"log_std_min": 2.0}, "log_std_max must be above log_std_min, got 2.0 and 2.0"),
        ("flow_g", {"time_emb_dim": 5}, "time_emb_dim must be an even number from 4"),
        ("flow_g", {"gate_hidden": 0}, "gate_hidden must be above 0"),
        ("flow_t", {"d_model": 10}, "d_model must be a positive multiple of 4"),
        ("flow_t", {"d_model": 12, "n_head": 5}, "d_model must be a multiple of n_head, got 12 and 5"),
        ("flow_t", {"path_logprob": "true"}, r"path_logprob must be one of \['upstream', 'exact'\], got 'true'"),
    ],
)
def test_what_no_run_could_use_is_refused(kind, changes, message):
    with pytest.raises(OptionError, match=message):
        CONFIGS[kind](**changes)
