"""DAC against recordings of the official code (OFFLOW_GOLDEN names another folder of cases)."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from offlow_core.data.reward_rules import DAC, find_rule
from offlow_core.data.selection import best_trajectories
from offlow_core.data.transitions import Transitions
from offlow_core.jax.activations import mish
from offlow_core.jax.state_arrays import to_arrays
from offlow_core.testing.golden import GoldenCase, case_files, load_case
from offlow_dac.action_selection import CandidateNoise, select_actions
from offlow_dac.config import DacConfig
from offlow_dac.dac import Dac, DacNoise, DacState
from offlow_dac.losses import ActorNoise, CriticNoise
from offlow_dac.networks import NoiseNetwork, time_features
from offlow_dac.samplers import ddim, ddpm
from offlow_dac.schedules import make_schedule
from offlow_dac.testing.recorded import (
    actor_from_recorded,
    actor_to_recorded,
    config_of,
    critic_from_recorded,
    critic_to_recorded,
)

FILES = case_files(__file__, "dac")
CASES = [load_case(path) for path in FILES if path.stem != "schedules"]


def of_kind(kind: str) -> list:
    return [pytest.param(case, id=case.name) for case in CASES if case.config["kind"] == kind]


def assert_close(found: object, expected: np.ndarray, name: str) -> None:
    """The tolerance that goes with the recordings."""
    bound = 2e-5 + 1e-4 * np.abs(expected).max()
    np.testing.assert_allclose(found, expected, rtol=0, atol=bound, err_msg=name)


def test_every_case_is_checked_for_something():
    assert CASES
    assert {case.config["kind"] for case in CASES} <= {"update", "sampler", "select", "dataset"}


@jax.jit(static_argnums=0)
def step(agent: Dac, state: DacState, batch: dict, noise: DacNoise) -> tuple:
    critic_gradients, critic = agent.critic_gradients(state, batch, noise.critic)
    after_critic, _ = agent._update_critic(state, batch, noise.critic)
    actor_gradients, actor = agent.actor_gradients(after_critic, batch, noise.actor)
    new, report = agent.update(state, batch, noise)
    norms = {
        name.removeprefix("grad/").replace("_norm", "_grad_norm"): v for name, v in report().items() if "grad" in name
    }
    return new, (critic_gradients, actor_gradients), {**critic, **actor, **norms, "eta_after": new.eta}


def state_of(agent: Dac, case: GoldenCase) -> DacState:
    params = case.tree("params")
    actors = (actor_from_recorded(params[name]) for name in ("actor", "actor_tar"))
    critics = (critic_from_recorded(params[name]) for name in ("critic", "critic_tar"))
    return agent.with_fresh_optimizers(*actors, *critics)


def recorded_names(state: DacState) -> dict[str, np.ndarray]:
    modules = {
        "actor": actor_to_recorded(state.actor),
        "actor_tar": actor_to_recorded(state.actor_target),
        "critic": critic_to_recorded(state.critic),
        "critic_tar": critic_to_recorded(state.critic_target),
    }
    return to_arrays(modules)


def draws_of(case: GoldenCase, suffix: str) -> DacNoise:
    noise = case.group(f"noise{suffix}")
    critic = CriticNoise(noise["critic_prior"], noise["critic_z"], noise.get("critic_ensemble_uniform"))
    return DacNoise(
        critic, ActorNoise(noise["t"], noise["eps"], noise.get("denoised_prior"), noise.get("denoised_z"), None)
    )


@pytest.mark.parametrize("case", of_kind("update"))
def test_updates(case: GoldenCase):
    config = config_of(case)
    agent = Dac(config, case.observation_shape[0], case.arrays["batch/actions"].shape[1])
    state = state_of(agent, case)
    for suffix in case.iterations:
        batch = case.group(f"batch{suffix}")
        batch["weights"] = np.ones(len(batch["actions"]), np.float32)
        state, (critic_gradients, actor_gradients), found = step(agent, state, batch, draws_of(case, suffix))
        for name, value in case.group(f"expected{suffix}").items():
            assert_close(found[name], value, f"{case.name} {name}{suffix}")
        if suffix == "":
            gradients = {"critic": critic_to_recorded(critic_gradients), "actor": actor_to_recorded(actor_gradients)}
            gradients = to_arrays(gradients)
            for name, value in case.group("grads").items():
                assert_close(gradients[name], value, f"{case.name} grads/{name}")
        params = recorded_names(state)
        for name, value in case.group(f"params_after_{suffix.lstrip('_') or 1}").items():
            assert_close(params[name], value, f"{case.name} {name} after{suffix}")


@pytest.mark.parametrize("case", of_kind("sampler"))
def test_samplers(case: GoldenCase):
    actor = actor_from_recorded(case.tree("params")["actor"])
    for i, variant in enumerate(case.config["variants"]):
        config = DacConfig(**case.settings(DacConfig) | {"T": variant["T"], "beta_schedule": variant["beta_schedule"]})
        schedule, noise = make_schedule(config.beta_schedule, config.T), case.group(f"noise_{i}")
        network = NoiseNetwork(actor, config, jnp.asarray(case.arrays["batch/observations"]))
        clip = variant["clip_sampler"]
        if variant["sampler"] == "ddim":
            steps = variant["ddim_step"]
            found = ddim(network.noise, schedule, noise["prior"], clip=clip, steps=steps, upstream=True)
        else:
            temperature = variant["noise_temperature"]
            found = ddpm(network.noise, schedule, noise["prior"], noise["z"], clip=clip, temperature=temperature)
        assert_close(found, case.arrays[f"expected_{i}/actions"], f"variant {i}")


@pytest.mark.parametrize("case", of_kind("select"))
def test_action_selection(case: GoldenCase):
    actor = actor_from_recorded(case.tree("params")["actor"])
    critic = critic_from_recorded(case.tree("params")["critic_tar"])
    for i, temperature in enumerate((0.0, 0.5)):
        gumbel = case.arrays[f"noise_{i}/gumbel"]
        n, candidates = gumbel.shape
        config = config_of(case, num_action_samples=candidates, temperature=temperature, upstream_softmax=True)
        agent = Dac(config, case.observation_shape[0], case.arrays[f"noise_{i}/prior"].shape[-1])
        draws = CandidateNoise(case.arrays[f"noise_{i}/prior"], case.arrays[f"noise_{i}/z"], gumbel)
        eta = jnp.asarray(config.eta)
        actions, parts = select_actions(agent, actor, critic, eta, case.arrays["batch/observations"][:n], draws)
        for name, value in {**parts, "actions": actions}.items():
            assert_close(value, case.arrays[f"expected_{i}/{name}"], f"{name} {i}")


def test_schedules_features_and_activation():
    with np.load(next(path for path in FILES if path.stem == "schedules"), allow_pickle=False) as file:
        recorded = dict(file)
    names = {name.split("/")[0] for name in recorded if name.endswith("alpha_hats")}
    assert names
    for name in names:
        kind, steps = name.rsplit("_", 1)
        schedule = make_schedule(kind, int(steps))
        np.testing.assert_allclose(schedule.alphas, recorded[f"{name}/alphas"], rtol=2e-6, atol=1e-7)
        np.testing.assert_allclose(schedule.alpha_hats, recorded[f"{name}/alpha_hats"], rtol=1e-5, atol=1e-7)
    for name in (name for name in recorded if name.startswith("fourier")):
        dim = int(name.split("_")[1])
        found = time_features(jnp.arange(len(recorded[name]), dtype=jnp.float32), dim)
        np.testing.assert_allclose(found, recorded[name], atol=2e-5)
    np.testing.assert_allclose(mish(recorded["mish/x"]), recorded["mish/y"], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("case", of_kind("dataset"))
def test_datasets(case: GoldenCase):
    raw, expected = case.group("input"), case.group("expected")
    data = Transitions.from_arrays(
        raw["observations"],
        np.clip(raw["actions"], -1 + 1e-5, 1 - 1e-5),
        raw["rewards"],
        1 - raw["terminals"],
        expected["dones_float"],
        raw["next_observations"],
    )
    np.testing.assert_allclose(data.actions, expected["actions"], rtol=1e-6)
    np.testing.assert_array_equal(data.masks, expected["masks"])
    rules = {name.removeprefix("rewards_") for name in expected if name.startswith("rewards_")}
    assert rules
    for rule in rules:
        tuned = find_rule(DAC, rule)(data)(data.rewards)
        assert_close(tuned, expected[f"rewards_{rule}"], rule)
    for share in (50, 20):
        kept = best_trajectories(data, share)
        found = sorted(kept.rewards.tolist())
        np.testing.assert_allclose(found, sorted(expected[f"take_top_{share}/rewards"].tolist()), rtol=1e-6)
