"""Set-up of JAX for a training command."""

import sys

import jax
import jax.numpy as jnp


def configure(gpu: int | None = None) -> None:
    """Full float32 matrix products on every device: small errors enter through exponentials and long chains.

    `gpu` picks one of several; where it is not there that is said on stderr, and JAX's first device is used.
    """
    jax.config.update("jax_default_matmul_precision", "highest")
    if gpu is None:
        return
    found = [device for device in jax.devices() if device.platform == "gpu"]
    if gpu < len(found):
        jax.config.update("jax_default_device", found[gpu])
    else:
        print(
            f"--gpu {gpu}: there is no such GPU here ({len(found)} found); {describe_device()} is used", file=sys.stderr
        )


def describe_device() -> str:
    """The default device in words."""
    (device,) = jnp.zeros(()).devices()
    return f"{device.platform}: {device.device_kind}"
