"""The package's updates against the same mathematics written plainly, which the benchmarks time beside them."""

import numpy as np
import pytest
import torch

from offlow_diffusion_ql import upstream_names
from offlow_diffusion_ql.agent import DiffusionQl
from offlow_diffusion_ql.config import DiffusionQlConfig
from offlow_diffusion_ql.testing.plain import PlainDiffusionQl

SMALL = {"actor_hidden": 12, "critic_hidden": 10, "batch_size": 6, "step_start_ema": 1, "update_ema_every": 2}
NETWORKS = ("actor", "actor_ema", "critic", "critic_target")


def official(agent: DiffusionQl) -> dict[str, dict[str, np.ndarray]]:
    def translated(name: str) -> dict[str, np.ndarray]:
        arrays = {key: value.numpy() for key, value in getattr(agent, name).state_dict().items()}
        is_policy = name.startswith("actor")
        return upstream_names.policy_to_upstream(arrays) if is_policy else upstream_names.critic_to_upstream(arrays)

    return {name: translated(name) for name in NETWORKS}


@pytest.mark.parametrize("policy", ["diffusion", "flow"])
@pytest.mark.parametrize("max_q_backup", [False, True])
def test_updates(policy, max_q_backup):
    config = DiffusionQlConfig(policy=policy, max_q_backup=max_q_backup, max_q_repeats=3, grad_norm=0.5, **SMALL)
    agent = DiffusionQl(config, 4, 2, seed=0, device=torch.device("cpu"))
    plain = PlainDiffusionQl(config, 4, 2)
    plain.take(official(agent))
    generator = torch.Generator().manual_seed(0)
    for updates in range(4):
        batch = {name: torch.randn(6, 4, generator=generator) for name in ("observations", "next_observations")}
        batch |= {"actions": torch.rand(6, 2, generator=generator) * 2 - 1, "masks": torch.ones(6)}
        batch |= {"rewards": torch.randn(6, generator=generator)}
        noise = agent.draw_noise(generator)
        expected = plain.update(batch, noise)
        metrics = agent.update(batch, noise, agent.prepare(updates))
        for name, value in expected.items():
            part = "critic" if name == "critic_loss" else "actor"
            assert metrics[f"{part}/{name}"].item() == pytest.approx(value, rel=1e-4), (name, updates)
    for name, arrays in official(agent).items():
        for value, expected in zip(arrays.values(), plain.parameters(name), strict=True):
            np.testing.assert_allclose(value, expected.detach(), rtol=1e-4, atol=1e-5, err_msg=name)
