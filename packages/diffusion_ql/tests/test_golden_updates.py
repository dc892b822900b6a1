"""Updates against recorded ones of the official code, number by number (OFFLOW_GOLDEN: another folder of cases)."""

import numpy as np
import pytest
import torch

from offlow_core.testing.golden import GoldenCase, case_files, load_case
from offlow_core.torch.state_arrays import load_arrays
from offlow_diffusion_ql import upstream_names
from offlow_diffusion_ql.agent import DiffusionQl
from offlow_diffusion_ql.cloning_agent import BehaviourCloning
from offlow_diffusion_ql.config import DiffusionQlConfig
from offlow_diffusion_ql.generative_policy import ChainNoise, CloningNoise
from offlow_diffusion_ql.losses import UpdateNoise

CASES = [case for case in map(load_case, case_files(__file__, "diffusion_ql")) if "num_updates" in case.config]
CLOSE = {"rtol": 2e-4, "atol": 2e-6}
CLOSE_PARAMETERS = {"rtol": 2e-4, "atol": 2e-5}
ACTORS, CRITICS = ("actor", "actor_ema"), ("critic", "critic_target")
DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


def configured(case: GoldenCase) -> DiffusionQlConfig:
    """The recorded configuration in this package's words."""
    settings = {name: value for name, value in case.settings(DiffusionQlConfig).items() if value is not None}
    settings["time_dim"] = case.config["t_dim"]
    if case.config.get("scheduler_step_after_each_update"):
        settings |= {"lr_decay_unit": "epoch", "steps_per_epoch": 1, "num_epochs": case.config["lr_maxt"]}
    return DiffusionQlConfig(**settings)


def parameters(case: GoldenCase, prefix: str) -> dict[str, dict[str, np.ndarray]]:
    """Official parameters by network; written by formula where the case says so."""
    tree = case.tree(prefix)
    if tree or "params_formula_seed" not in case.config:
        return tree
    agent = DiffusionQl(configured(case), case.config["state_dim"], case.config["action_dim"], **SOMEWHERE)
    shapes = {name: official(name, getattr(agent, name).state_dict()) for name in ACTORS + CRITICS}
    return {
        name: by_formula(arrays, case.config["params_formula_seed"] + i)
        for i, (name, arrays) in enumerate(shapes.items())
    }


SOMEWHERE = {"seed": 0, "device": torch.device("cpu")}


def by_formula(arrays: dict[str, np.ndarray], seed: int) -> dict[str, np.ndarray]:
    draws = np.random.RandomState(seed)
    bounds = {name: 1 / np.sqrt(array.shape[1]) if array.ndim == 2 else 0.05 for name, array in arrays.items()}
    return {
        name: draws.uniform(-bounds[name], bounds[name], size=array.shape).astype(np.float32)
        for name, array in arrays.items()
    }


def official(network: str, state: dict[str, torch.Tensor]) -> dict[str, np.ndarray]:
    arrays = {name: tensor.detach().cpu().numpy() for name, tensor in state.items()}
    translate = upstream_names.policy_to_upstream if network in ACTORS else upstream_names.critic_to_upstream
    return translate(arrays)


def load(agent: DiffusionQl | BehaviourCloning, networks: dict[str, dict[str, np.ndarray]]) -> None:
    for name, arrays in networks.items():
        translate = upstream_names.policy_from_upstream if name in ACTORS else upstream_names.critic_from_upstream
        load_arrays(getattr(agent, name).state_dict(), translate(arrays))


def on_device(device: str, array: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.asarray(array)).to(device)


def cloning_noise(noise: dict[str, torch.Tensor]) -> CloningNoise:
    return CloningNoise(noise["bc_t"], noise["bc_eps"] if "bc_eps" in noise else noise["bc_x_0"])


def update_noise(noise: dict[str, torch.Tensor], batch_size: int) -> UpdateNoise:
    def chain(network: str, rows: tuple[int, ...]) -> ChainNoise:
        start = noise.get(f"{network}_x_T", noise.get(f"{network}_x_0"))
        steps = noise.get(f"{network}_step_noise", start[None][:0])
        return ChainNoise(start.unflatten(0, rows), steps.unflatten(1, rows))

    candidates = len(noise.get("target_x_T", noise.get("target_x_0"))) // batch_size
    return UpdateNoise(
        chain("target", (batch_size, candidates)),
        cloning_noise(noise),
        chain("actor", (batch_size,)),
        noise["q_head_u"],
    )


class FirstCall:
    """Keeps what a network was given and gave when it was called first: by the imitation loss."""

    def __init__(self, network: torch.nn.Module):
        self.seen: list[tuple[np.ndarray, np.ndarray]] = []
        self._handle = network.register_forward_hook(self._note)

    def _note(self, module, inputs, output):
        self.seen.append((inputs[0].detach().cpu().numpy(), output.detach().cpu().numpy()))

    def values(self) -> dict[str, np.ndarray]:
        self._handle.remove()
        return dict(zip(("bc_model_x", "bc_model_out"), self.seen[0], strict=True))


def q_learning_values(parts: dict[str, torch.Tensor], noise: UpdateNoise) -> dict[str, np.ndarray]:
    """What an update of Diffusion-QL went through, under the names of the cases."""
    found = {name: tensor.detach().cpu().numpy() for name, tensor in parts.items()}
    heads = {
        f"{name}{head + 1}{suffix}": found[part][head].reshape(-1, 1)
        for name, part, suffix in (
            ("target_q", "next_values", "_raw"),
            ("current_q", "values", ""),
            ("q", "action_values", "_new_action"),
        )
        for head in range(2)
    }
    return heads | {
        "bc_loss": found["bc_loss"],
        "ql_loss": found["q_loss"],
        "actor_loss": found["actor_loss"],
        "critic_loss": found["critic_loss"],
        "next_action": found["next_actions"].reshape(-1, found["next_actions"].shape[-1]),
        "new_action": found["actions"],
        "target_q": found["target"].reshape(-1, 1),
        "used_q1_numerator": np.asarray(noise.head.item() > 0.5),
        "bc_model_t": noise.cloning.t.cpu().numpy(),
    }


def update(agent: DiffusionQl, batch: dict, noise: UpdateNoise, updates: int) -> dict[str, np.ndarray]:
    """One update, and everything that is known of it, under the names of the cases."""
    moves_average = agent.prepare(updates)
    lrs = {"actor_lr": agent._actor_adam.lr, "critic_lr": agent._critic_adam.lr}
    parts: dict[str, torch.Tensor] = {}
    for name in ("_critic_loss", "_actor_loss"):
        setattr(agent, name, noting(getattr(agent, name), parts))
    first_call = FirstCall(agent.actor)
    metrics = agent.update(batch, noise, moves_average)
    values = q_learning_values(parts, noise) | first_call.values()
    logged = {name: values[name] for name in ("bc_loss", "ql_loss", "critic_loss")}
    logged["target_q_mean"] = metrics["critic/target_mean"].cpu().numpy()
    for network in ("actor", "critic"):
        if f"grad/{network}_norm" in metrics:
            norm = metrics[f"grad/{network}_norm"].cpu().numpy()
            logged[f"{network}_grad_norm"] = values[f"{network}_grad_norm"] = norm
    return values | lrs | {f"log/{name}": value for name, value in logged.items()}


def noting(loss, parts: dict[str, torch.Tensor]):
    """The loss, which leaves its intermediate values in `parts`."""

    def wrapped(*arguments):
        value, found = loss(*arguments)
        parts.update(found)
        return value, found

    return wrapped


def clone(agent: BehaviourCloning, batch: dict, noise: CloningNoise) -> dict[str, np.ndarray]:
    """One update of behaviour cloning; the official code logs 0 for all that it does not compute."""
    first_call = FirstCall(agent.actor)
    loss = agent.update(batch, noise)["actor/bc_loss"].cpu().numpy()
    absent = dict.fromkeys(("actor_loss", "ql_loss", "critic_loss"), np.zeros(()))
    return absent | {"bc_loss": loss, "bc_model_t": noise.t.cpu().numpy(), **first_call.values()}


def assert_networks(case: GoldenCase, agent: DiffusionQl | BehaviourCloning, suffix: str) -> None:
    recorded = case.tree(f"params_after_{suffix.lstrip('_') or 1}")
    sums = case.tree(f"params_checksum_after_{suffix.lstrip('_') or 1}")
    for network in ACTORS + CRITICS:
        if not hasattr(agent, network):
            continue
        found = official(network, getattr(agent, network).state_dict())
        message = f"{case.name}{suffix} {network}"
        for name, value in recorded.get(network, {}).items():
            if name in found:  # `final_bias` is a copy in the cases that record sums
                np.testing.assert_allclose(found[name], value, **CLOSE_PARAMETERS, err_msg=f"{message} {name}")
        if network in sums:
            sums_found = [[x.sum(dtype=np.float64), (x.astype(np.float64) ** 2).sum()] for x in found.values()]
            sizes = np.array([[x.size] for x in found.values()])
            difference = np.abs(np.array(sums_found) - sums[network])
            assert (difference <= 2e-4 * np.abs(sums[network]) + 2e-6 * sizes**0.5 + 2e-5).all(), message


def assert_gradients(case: GoldenCase, agent: DiffusionQl | BehaviourCloning) -> None:
    """The gradients that Adam was given in the first update."""
    recorded = case.tree("grads")
    for network, arrays in recorded.items():
        gradients = {name: parameter.grad for name, parameter in getattr(agent, network).named_parameters()}
        found = official(network, gradients)
        for name, value in arrays.items():
            np.testing.assert_allclose(found[name], value, **CLOSE, err_msg=f"{case.name} grads/{network}/{name}")


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_updates(case: GoldenCase, device: str):
    config = configured(case)
    kind = BehaviourCloning if config.algo == "bc" else DiffusionQl
    agent = kind(config, case.config["state_dim"], case.config["action_dim"], seed=0, device=torch.device(device))
    load(agent, parameters(case, "params"))
    for i, suffix in enumerate(case.iterations):
        batch = {name: on_device(device, array) for name, array in case.group(f"batch{suffix}").items()}
        noise = {name: on_device(device, array) for name, array in case.group(f"noise{suffix}").items()}
        if kind is BehaviourCloning:
            found = clone(agent, batch, cloning_noise(noise))
        else:
            noise = update_noise(noise, len(batch["actions"]))
            found = update(agent, batch, noise, case.config.get("initial_step", 0) + i)
        expected = case.group(f"expected{suffix}")
        assert set(expected) <= set(found), set(expected) - set(found)
        for name, value in expected.items():
            np.testing.assert_allclose(found[name], value, **CLOSE, err_msg=f"{case.name}{suffix} {name}")
        if suffix == "":
            assert_gradients(case, agent)
        assert_networks(case, agent, suffix)
