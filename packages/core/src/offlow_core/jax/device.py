"""Set-up of JAX for a training command."""

import jax


def configure() -> None:
    """Full float32 matrix products on every device: log densities enter through exp."""
    jax.config.update("jax_default_matmul_precision", "highest")


def describe_device() -> str:
    """The default device in words."""
    device = jax.devices()[0]
    return f"{device.platform}: {device.device_kind}"
