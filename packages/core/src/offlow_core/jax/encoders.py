"""IMPALA image encoder (Espeholt et al. 2018) as pure functions over parameter dictionaries.

uint8 images [..., H, W, C] -> features [..., d]. Per stack: 3x3 convolution, 3x3 max-pool with stride 2, residual
blocks of (ReLU, convolution) twice; then ReLU, flatten in (H, W, C) order, Dense and GELU.
"""

from dataclasses import dataclass

import jax
import jax.numpy as jnp

from offlow_core.jax.networks import Array, Params, init_mlp
from offlow_core.option_checks import OptionError

ImageParams = dict[str, dict]


@dataclass(frozen=True)
class Impala:
    """Sizes of one encoder: channels per stack, residual blocks per stack, widths of the dense layers."""

    stack_sizes: tuple[int, ...]
    num_blocks: int
    mlp_hidden_dims: tuple[int, ...] = (512,)

    @property
    def output_dim(self) -> int:
        return self.mlp_hidden_dims[-1]

    def init(self, key: Array, image_shape: tuple[int, ...]) -> ImageParams:
        """Parameters for images [H, W, C]: Xavier-uniform kernels (HWIO), zero biases."""
        height, width, channels = image_shape
        params: ImageParams = {}
        for s, size in enumerate(self.stack_sizes):
            stack_key = jax.random.fold_in(key, s)
            convolutions = 1 + 2 * self.num_blocks
            fan_ins = [channels] + [size] * (convolutions - 1)
            params[f"stack_blocks_{s}"] = {
                f"Conv_{j}": _init_convolution(jax.random.fold_in(stack_key, j), fan_in, size)
                for j, fan_in in enumerate(fan_ins)
            }
            height, width, channels = (height + 1) // 2, (width + 1) // 2, size
        dense_key = jax.random.fold_in(key, len(self.stack_sizes))
        *hidden, output = self.mlp_hidden_dims
        params["MLP_0"] = init_mlp(dense_key, height * width * channels, hidden, output)
        return params

    def apply(self, params: ImageParams, images: Array) -> Array:
        """Features [..., d] of uint8 images [..., H, W, C]."""
        batch_shape = images.shape[:-3]
        x = images.reshape(-1, *images.shape[-3:]).astype(jnp.float32) / 255.0
        for s in range(len(self.stack_sizes)):
            x = self._stack(params[f"stack_blocks_{s}"], x)
        x = jax.nn.relu(x).reshape(x.shape[0], -1)
        return _activated_dense(params["MLP_0"], x).reshape(*batch_shape, self.output_dim)

    def _stack(self, params: Params, x: Array) -> Array:
        x = _max_pool(_convolve(params["Conv_0"], x))
        for block in range(self.num_blocks):
            residual = x
            for j in (1 + 2 * block, 2 + 2 * block):
                x = _convolve(params[f"Conv_{j}"], jax.nn.relu(x))
            x = x + residual
        return x


ENCODERS = {
    "impala": Impala((16, 32, 32), num_blocks=2),
    "impala_small": Impala((16, 32, 32), num_blocks=1),
    "impala_large": Impala((64, 128, 128), num_blocks=2, mlp_hidden_dims=(1024,)),
    "impala_debug": Impala((4, 4), num_blocks=1),
}


def _init_convolution(key: Array, fan_in: int, fan_out: int) -> dict[str, Array]:
    limit = (6 / (9 * (fan_in + fan_out))) ** 0.5
    kernel = jax.random.uniform(key, (3, 3, fan_in, fan_out), minval=-limit, maxval=limit)
    return {"kernel": kernel, "bias": jnp.zeros(fan_out)}


def _convolve(params: dict[str, Array], x: Array) -> Array:
    convolution = matrix_convolution if jax.default_backend() == "cpu" else library_convolution
    return convolution(x, params["kernel"]) + params["bias"]


def library_convolution(x: Array, kernel: Array) -> Array:
    """3x3 convolution of images [B, H, W, C] with a kernel [3, 3, C, D], borders padded with zeros."""
    return jax.lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))


def matrix_convolution(x: Array, kernel: Array) -> Array:
    """The same as one matrix product over the nine shifted images.

    Inside a compiled loop XLA's own convolutions have gradients that are more than ten times slower on a CPU (measured
    with jax 0.10.2 for impala_small at 64x64); matrix products have not.
    """
    height, width = x.shape[1:3]
    padded = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    shifted = [padded[:, i : i + height, j : j + width] for i in range(3) for j in range(3)]
    return jnp.concatenate(shifted, axis=-1) @ kernel.reshape(-1, kernel.shape[-1])


def _max_pool(x: Array) -> Array:
    return jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (1, 3, 3, 1), (1, 2, 2, 1), "SAME")


def _activated_dense(params: Params, x: Array) -> Array:
    """Every dense layer of the encoder is followed by GELU, the last one too."""
    for i in range(len(params)):
        layer = params[f"Dense_{i}"]
        x = jax.nn.gelu(x @ layer["kernel"] + layer["bias"], approximate=True)
    return x


def find_encoder(name: str | None, observation_shape: tuple[int, ...]) -> Impala | None:
    """The encoder of this name; images need one and state vectors admit none."""
    images = len(observation_shape) == 3
    if images != (name is not None):
        hint = "set --agent.encoder, for example to impala_small" if images else "leave --agent.encoder out"
        raise OptionError(f"observations of shape {observation_shape} do not fit encoder={name}; {hint}")
    return None if name is None else ENCODERS[name]
