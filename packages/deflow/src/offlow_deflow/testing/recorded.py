"""Agents and states from recorded cases."""

from offlow_core.jax.encoders import Impala
from offlow_core.jax.joint_training import JointAgent, JointState
from offlow_core.testing.golden import GoldenCase


def encoder_of(case: GoldenCase) -> Impala | None:
    """The image encoder that the case's parameters belong to."""
    modules = case.tree("params")
    if "modules_actor_bc_flow_encoder" not in modules:
        return None
    encoder = modules["modules_actor_bc_flow_encoder"]
    stacks = [encoder[f"stack_blocks_{i}"] for i in range(sum(name.startswith("stack") for name in encoder))]
    dense = encoder["MLP_0"]
    return Impala(
        tuple(stack["Conv_0"]["bias"].shape[0] for stack in stacks),
        num_blocks=(len(stacks[0]) - 1) // 2,
        mlp_hidden_dims=tuple(dense[f"Dense_{i}"]["bias"].shape[0] for i in range(len(dense))),
    )


def make_agent(kind: type[JointAgent], config_type: type, case: GoldenCase, **changes) -> JointAgent:
    """The agent of the recorded configuration; the official code squares its fixed weight."""
    config = config_type(**case.settings(config_type) | changes)
    return kind(config, case.observation_shape, case.config["action_dim"], encoder_of(case))


def state_of(agent: JointAgent, case: GoldenCase) -> JointState:
    """The recorded parameters with fresh moments."""
    modules = {name.removeprefix("modules_"): module for name, module in case.tree("params").items()}
    target = modules.pop(f"target_{agent.target_source}", modules[agent.target_source])
    return agent.with_fresh_optimizer(modules, target, case.config.get("start_step", 1))


def named(agent: JointAgent, params: dict, target: dict | None = None) -> dict:
    """Modules under their recorded names."""
    modules = params if target is None else {**params, f"target_{agent.target_source}": target}
    return {f"modules_{name}": module for name, module in modules.items()}
