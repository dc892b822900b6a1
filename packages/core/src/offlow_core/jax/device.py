"""Set-up of JAX for a training command."""

import jax


def configure() -> str:
    """Full float32 matrix products on every device (log densities enter through exp); the device in words."""
    jax.config.update("jax_default_matmul_precision", "highest")
    device = jax.devices()[0]
    return f"{device.platform}: {device.device_kind}"
