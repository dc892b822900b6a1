"""Parameters of recorded cases in this package's layout, and back."""

from offlow_core.testing.golden import GoldenCase
from offlow_dac.config import DacConfig

_BLOCK = "MLPResNetBlock_"


def config_of(case: GoldenCase, **changes) -> DacConfig:
    """The recorded configuration."""
    return DacConfig(**case.settings(DacConfig) | changes)


def actor_from_recorded(modules: dict) -> dict:
    """A noise network."""
    if "MLP_1" in modules:
        return {"time_net": modules["MLP_0"], "noise_net": modules["MLP_1"]}
    residual = modules["MLPResNet_0"]
    blocks = {f"block_{name.removeprefix(_BLOCK)}": block for name, block in residual.items() if _BLOCK in name}
    ends = {"input": {"Dense_0": residual["Dense_0"]}, "output": {"Dense_0": residual["Dense_1"]}}
    return {"time_net": modules["MLP_0"], "noise_net": {**ends, **blocks}}


def actor_to_recorded(actor: dict) -> dict:
    """The same under its recorded names."""
    net = actor["noise_net"]
    if "input" not in net:
        return {"MLP_0": actor["time_net"], "MLP_1": net}
    blocks = {name.replace("block_", _BLOCK): block for name, block in net.items() if name.startswith("block_")}
    ends = {"Dense_0": net["input"]["Dense_0"], "Dense_1": net["output"]["Dense_0"]}
    return {"MLP_0": actor["time_net"], "MLPResNet_0": {**ends, **blocks}}


def critic_from_recorded(modules: dict) -> dict:
    """A critic ensemble."""
    return modules["VmapQNet_0"]["MLP_0"]


def critic_to_recorded(critic: dict) -> dict:
    """The same under its recorded names."""
    return {"VmapQNet_0": {"MLP_0": critic}}
