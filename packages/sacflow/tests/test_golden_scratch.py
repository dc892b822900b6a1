"""SAC Flow from scratch against recordings of the official code (OFFLOW_GOLDEN names another folder of cases)."""

from collections.abc import Iterator, Mapping

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from offlow_core.testing.golden import GoldenCase, case_files, load_case
from offlow_core.torch.state_arrays import load_arrays, to_arrays
from offlow_sacflow.flax_parameters import FlaxArrays, Idle, Table, from_flax, to_flax
from offlow_sacflow.rollout import RolloutNoise
from offlow_sacflow.scratch.agent import SacFlow
from offlow_sacflow.scratch.batch_renorm import store
from offlow_sacflow.scratch.config import CONFIGS, ScratchConfig
from offlow_sacflow.scratch.flax_names import actor_table, critic_table
from offlow_sacflow.scratch.noise import UpdateNoise
from offlow_sacflow.scratch.policy import ActionRange

CASES = [load_case(path) for path in case_files(__file__, "sacflow")]
DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]

# The tolerances that go with the recordings.
CLOSE = {"rtol": 1e-4, "atol": 1e-5}
CLOSE_PARAMETERS = {"rtol": 0, "atol": 5e-6}
# In a Flow-T whose policy has moved before: parameters whose gradient is rounding noise have moved by full steps.
CLOSE_LATER = {"rtol": 2e-3, "atol": 1e-3}
CLOSE_PARAMETERS_LATER = {"rtol": 0, "atol": 1e-4}
CLOSE_STATISTICS_LATER = {"rtol": 1e-4, "atol": 1e-4}

AGENTS = {"T": "flow_t", "G": "flow_g", "naive": "naive"}
OPTIONS = {"alpha_init": "alpha", "bn_warmup_steps": "batch_norm_warmup_steps"} | {
    f"bn_{name}": f"batch_norm_{name}" for name in ("momentum", "eps", "r_max", "d_max")
}
NO_OPTIONS = {"algo", "policy", "obs_dim", "act_dim", "n_updates", "initial_bn_steps"}


def configured(case: GoldenCase) -> ScratchConfig:
    """The recorded configuration in this package's words; nothing of it is left out."""
    settings = {OPTIONS.get(name, name): value for name, value in case.config.items() if name not in NO_OPTIONS}
    assert (settings.pop("adam_b2"), settings.pop("adam_eps")) == (0.999, 1e-8)
    return CONFIGS[AGENTS[case.config["policy"]]](**settings)


def tables(config: ScratchConfig) -> dict[str, Table]:
    return {"actor": actor_table(config), "critic": critic_table(config), "target_critic": critic_table(config)}


def networks(agent: SacFlow) -> Iterator[tuple[str, nn.Module, Table]]:
    found = {"actor": agent.actor, "critic": agent.critic, "target_critic": agent.critic_target}
    for name, table in tables(agent.config).items():
        if found[name] is not None:
            yield name, found[name], table


def loaded(case: GoldenCase, device: str) -> SacFlow:
    """The agent of a case before its first update."""
    place = torch.device(device)
    bounds = (torch.from_numpy(case.arrays[name]).to(place) for name in ("action_scale", "action_bias"))
    agent = SacFlow(configured(case), case.config["obs_dim"], ActionRange(*bounds), seed=0, device=place)
    for name, network, table in networks(agent):
        recorded = FlaxArrays(case.group(f"params/{name}"), case.group(f"stats/{name}"))
        state = network.state_dict()
        load_arrays(state, from_flax(table, recorded, to_arrays(state)))
    assert agent.config.autotune == case.has("params/alpha")
    if agent.config.autotune:
        agent.log_alpha.data.fill_(case.arrays["params/alpha/log_ent_coef"].item())
    return agent


def draws(case: GoldenCase, prefix: str, device: str) -> RolloutNoise | None:
    """The recorded draws of a rollout, if there was one."""
    noise = {name: torch.from_numpy(array).to(device) for name, array in case.group(prefix).items()}
    return RolloutNoise(noise["x0"], noise["eps"]) if noise else None


def recorded_batch(case: GoldenCase, device: str) -> dict[str, Tensor]:
    batch = {name: torch.from_numpy(array).to(device) for name, array in case.group("batch").items()}
    return batch | {"masks": 1 - batch.pop("dones")}


def assert_values(case: GoldenCase, prefix: str, found: Mapping[str, Tensor], tolerance: Mapping[str, float]) -> None:
    """Everything recorded directly under `prefix/` was found."""
    expected = {name: value for name, value in case.group(prefix).items() if "/" not in name}
    assert expected, prefix
    assert set(expected) <= set(found), set(expected) - set(found)
    for name, value in expected.items():
        np.testing.assert_allclose(found[name].cpu(), value, **tolerance, err_msg=f"{case.name} {prefix}/{name}")


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("mode", ["train", "eval"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_rollouts(case: GoldenCase, mode: str, device: str):
    agent, statistics = loaded(case, device), {} if mode == "train" else None
    observations, noise = recorded_batch(case, device)["observations"], draws(case, "noise/rollout", device)
    with torch.no_grad():
        sample = agent.flow_policy.sample(observations, noise, statistics)
    before = to_arrays(agent.actor.state_dict())
    found = {"velocity": torch.stack(sample.path.velocities), "log_std": torch.stack(sample.path.log_stds)}
    found |= {"action": sample.actions, "log_prob": sample.log_probs[:, None]}
    assert_values(case, f"expected/rollout_{mode}", found, CLOSE)
    if mode == "train":
        assert all((before[name] == array).all() for name, array in to_arrays(agent.actor.state_dict()).items())
        store(statistics)
        assert_statistics(case, "expected/rollout_train/stats_after", agent.actor, actor_table(agent.config), CLOSE)


def assert_statistics(
    case: GoldenCase, prefix: str, network: nn.Module, table: Table, tolerance: Mapping[str, float]
) -> None:
    expected, found = case.group(prefix), to_flax(table, to_arrays(network.state_dict())).statistics
    assert set(expected) == set(found), prefix
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, **tolerance, err_msg=f"{case.name} {prefix}/{name}")


class Watched:
    """An agent whose gradients and intermediate values of its latest update can be looked at."""

    def __init__(self, agent: SacFlow):
        self.agent = agent
        self.gradients: dict[str, dict[str, np.ndarray]] = {}
        self.parts: dict[str, Tensor] = {}
        for name, parameters in (("critic", agent.critic.parameters()), ("actor", agent.actor_parameters)):
            method = f"{name}_gradients"
            setattr(agent, method, self._noting(name, getattr(agent, method), list(parameters)))
        self._alpha_gradients, agent.alpha_gradients = agent.alpha_gradients, self._note_alpha

    def _noting(self, network: str, function, parameters: list[nn.Parameter]):
        module = getattr(self.agent, network)
        names = {parameter: name for name, parameter in module.named_parameters()}

        def noted(*arguments):
            gradients, parts, statistics = function(*arguments)
            found = {names[p]: gradient for p, gradient in zip(parameters, gradients, strict=True)}
            table = dict(tables(self.agent.config))[network]
            state = to_arrays({**module.state_dict(), **found})
            self.gradients[network] = dict(to_flax(table, state).params)
            self.parts |= parts
            return gradients, parts, statistics

        return noted

    def _note_alpha(self, log_probs: Tensor):
        gradients = self._alpha_gradients(log_probs)
        self.gradients["alpha"] = {"log_ent_coef": gradients[0].cpu().numpy()}
        return gradients

    def critic_values(self) -> dict[str, Tensor]:
        """What the critics' update went through, under the names of the cases."""
        parts = self.parts
        found = {"loss": parts["critic_loss"], "current_q": parts["values"][..., None]}
        found |= {"next_v": parts["next_values"][:, None], "next_log_prob": parts["next_log_probs"][:, None]}
        found |= {"q_mean": parts["values"].mean(), "next_q_mean": parts["next_values"].mean()}
        return found | {"next_actions": parts["next_actions"]}

    def actor_values(self, metrics: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The same of the policy's; the official code logs an alpha loss of 0 where alpha stays."""
        parts = self.parts
        found = {"loss": parts["actor_loss"], "log_prob": parts["log_probs"][:, None], "actions": parts["actions"]}
        found["log_prob_mean"] = parts["log_probs"].mean()
        return found | {"alpha_loss": metrics.get("alpha/alpha_loss", torch.zeros(()))}


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_updates(case: GoldenCase, device: str):
    watched = Watched(loaded(case, device))
    agent, batch, policy_updates = watched.agent, recorded_batch(case, device), 0
    for k in range(1, case.config["n_updates"] + 1):
        is_later = case.config["policy"] == "T" and policy_updates > 0
        noise = UpdateNoise(*(draws(case, f"noise_{k}/{name}", device) for name in ("critic", "actor")))
        moves_policy = agent.prepare(k - 1)
        assert moves_policy == (noise.actor is not None)
        metrics = agent.update(batch, noise, moves_policy)
        assert_values(case, f"expected_{k}/critic", watched.critic_values(), CLOSE_LATER if is_later else CLOSE)
        if moves_policy:
            policy_updates += 1
            values = watched.actor_values(metrics)
            assert_values(case, f"expected_{k}/actor", values, CLOSE_LATER if is_later else CLOSE)
        assert_gradients(case, k, watched.gradients)
        assert_state(case, k, agent, policy_updates, is_later=is_later)


def assert_gradients(case: GoldenCase, k: int, found: Mapping[str, Mapping[str, np.ndarray]]) -> None:
    """The gradients of an update, where they are recorded."""
    for network, expected in split_by_network(case.group(f"grads_{k}")).items():
        largest = max(np.abs(value).max() for value in expected.values())
        for name, value in expected.items():
            is_null = null_mask(case, network, name, value)
            difference = np.abs(found[network][name] - value)
            assert (difference <= np.where(is_null, 2e-5, 1e-4) * largest).all(), f"{case.name} {network}/{name}"
            assert (np.abs(found[network][name])[is_null] <= 1e-5 * largest).all(), f"{case.name} {network}/{name}"


def split_by_network(arrays: Mapping[str, np.ndarray]) -> dict[str, dict[str, np.ndarray]]:
    found: dict[str, dict[str, np.ndarray]] = {}
    for name, array in arrays.items():
        network, path = name.split("/", 1)
        found.setdefault(network, {})[path] = array
    return found


def null_mask(case: GoldenCase, network: str, name: str, like: np.ndarray) -> np.ndarray:
    """Which elements have a gradient of zero but for rounding; only policies are recorded to have any."""
    return case.arrays.get(f"null_mask/{network}/{name}", np.zeros(like.shape, bool))


def assert_state(case: GoldenCase, k: int, agent: SacFlow, policy_updates: int, *, is_later: bool) -> None:
    """Parameters and statistics after an update, where they are recorded."""
    tolerance = CLOSE_PARAMETERS_LATER if is_later else CLOSE_PARAMETERS
    bound = 1.05 * agent.config.policy_lr * policy_updates
    recorded = split_by_network(case.group(f"params_after_{k}"))
    for network, module, table in networks(agent):
        if network not in recorded:
            continue
        found = to_flax(table, to_arrays(module.state_dict())).params
        idle = {leaf.theirs for leaf in table if isinstance(leaf, Idle)}
        assert set(found) == set(recorded[network])
        for name, value in recorded[network].items():
            before, message = case.arrays[f"params/{network}/{name}"], f"{case.name} {network}/{name} after {k}"
            if name in idle:  # the official network has them, and they never move
                np.testing.assert_array_equal(value, before, err_msg=message)
                continue
            is_null = null_mask(case, network, name, value)
            np.testing.assert_allclose(found[name][~is_null], value[~is_null], **tolerance, err_msg=message)
            assert (np.abs(found[name] - before)[is_null] <= bound).all(), message
        statistics = CLOSE_STATISTICS_LATER if is_later else CLOSE
        assert_statistics(case, f"stats_after_{k}/{network}", module, table, statistics)
    if "alpha" in recorded:
        expected = recorded["alpha"]["log_ent_coef"]
        np.testing.assert_allclose(agent.log_alpha.detach().cpu(), expected, **tolerance, err_msg=case.name)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_networks_go_to_this_package_and_back(case: GoldenCase):
    agent = loaded(case, "cpu")
    assert case.config["crossq_style"] == (agent.critic_target is None)
    for name, network, table in networks(agent):
        recorded = FlaxArrays(case.group(f"params/{name}"), case.group(f"stats/{name}"))
        returned = to_flax(table, to_arrays(network.state_dict()))
        idle = {leaf.theirs for leaf in table if isinstance(leaf, Idle)}
        for mine, theirs in ((returned.params, recorded.params), (returned.statistics, recorded.statistics)):
            assert set(mine) == set(theirs)
            for path, array in theirs.items():
                expected = np.zeros_like(array) if path in idle else array
                np.testing.assert_array_equal(mine[path], expected, err_msg=path)
                assert mine[path].dtype == array.dtype, path
