"""Optional parts of the installation, asked for before anything is done that needs them."""

from collections.abc import Mapping
from importlib.util import find_spec
from types import MappingProxyType

from offlow_core.option_checks import OptionError

PACKAGES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "video": ("imageio", "imageio_ffmpeg"),
        "wandb": ("wandb",),
        "tensorboard": ("tensorboardX",),
        "ray": ("ray",),
        "slurm": ("submitit",),
    }
)
"""What is imported, by the extra's name."""

_OF_THE_CORE_ALONE = frozenset({"ray", "slurm"})  # the others are extras of every package


def require(extra: str) -> None:
    """OptionError where an extra is not installed."""
    if any(find_spec(name) is None for name in PACKAGES[extra]):
        package = "--package offlow-core " if extra in _OF_THE_CORE_ALONE else ""
        raise OptionError(
            f"these options need the extra `{extra}`, which is not installed: "
            f"uv run {package}--extra {extra} ..., or pip install 'offlow-core[{extra}]'"
        )
