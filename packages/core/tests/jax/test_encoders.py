"""The image encoder against a direct computation with loops."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from offlow_core.jax.encoders import ENCODERS, Impala


def convolve(image: np.ndarray, params: dict) -> np.ndarray:
    """3 x 3, zeros outside."""
    height, width, _ = image.shape
    padded = np.pad(image, ((1, 1), (1, 1), (0, 0)))
    out = np.zeros((height, width, params["kernel"].shape[-1]))
    for i in range(height):
        for j in range(width):
            out[i, j] = np.einsum("hwc,hwcd->d", padded[i : i + 3, j : j + 3], params["kernel"])
    return out + params["bias"]


def pool(image: np.ndarray) -> np.ndarray:
    """Maxima of 3 x 3 windows at every second place; an even length has its first window at 0, an odd one at -1."""
    height, width, _ = image.shape
    rows, columns = (range(-(length % 2), length - length % 2, 2) for length in (height, width))
    return np.array([[image[max(i, 0) : i + 3, max(j, 0) : j + 3].max((0, 1)) for j in columns] for i in rows])


def gelu(x: np.ndarray) -> np.ndarray:
    return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))


def directly(params: dict, image: np.ndarray, blocks: int) -> np.ndarray:
    x = image / 255
    for s in range(sum(name.startswith("stack") for name in params)):
        stack = params[f"stack_blocks_{s}"]
        x = pool(convolve(x, stack["Conv_0"]))
        for b in range(blocks):
            inner = convolve(np.maximum(x, 0), stack[f"Conv_{1 + 2 * b}"])
            x = x + convolve(np.maximum(inner, 0), stack[f"Conv_{2 + 2 * b}"])
    x = np.maximum(x, 0).reshape(-1)
    for layer in params["MLP_0"].values():
        x = gelu(x @ layer["kernel"] + layer["bias"])
    return x


@pytest.mark.parametrize(
    ("encoder", "shape"), [(Impala((2, 3), 2, (4, 3)), (7, 6, 2)), (Impala((3,), 1, (2,)), (4, 5, 1))]
)
def test_features_equal_a_direct_computation(encoder, shape):
    params = encoder.init(jax.random.key(0), shape)
    params = jax.tree.map(lambda x: x + 0.05, params)  # biases of zero would hide a missing one
    images = np.random.default_rng(0).integers(0, 256, (2, *shape), np.uint8)
    found = jax.jit(encoder.apply)(params, images)
    expected = [directly(jax.tree.map(np.asarray, params), image, encoder.num_blocks) for image in images]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_leading_axes_are_kept():
    encoder = Impala((2,), 1, (3,))
    params = encoder.init(jax.random.key(0), (4, 4, 1))
    images = np.random.default_rng(0).integers(0, 256, (2, 3, 4, 4, 1), np.uint8)
    found = encoder.apply(params, images)
    assert found.shape == (2, 3, 3)
    np.testing.assert_allclose(encoder.apply(params, images[1, 2]), found[1, 2], rtol=1e-5)


@pytest.mark.parametrize(
    ("name", "stacks", "convolutions", "flat", "features"),
    [
        ("impala", (16, 32, 32), 5, 8 * 8 * 32, 512),
        ("impala_small", (16, 32, 32), 3, 8 * 8 * 32, 512),
        ("impala_large", (64, 128, 128), 5, 8 * 8 * 128, 1024),
        ("impala_debug", (4, 4), 3, 16 * 16 * 4, 512),
    ],
)
def test_published_sizes_for_three_stacked_frames(name, stacks, convolutions, flat, features):
    encoder = ENCODERS[name]
    params = jax.eval_shape(lambda key: encoder.init(key, (64, 64, 9)), jax.random.key(0))
    for i, size in enumerate(stacks):
        stack = params[f"stack_blocks_{i}"]
        assert len(stack) == convolutions
        assert stack["Conv_0"]["kernel"].shape == (3, 3, (9, *stacks)[i], size)
        assert stack["Conv_1"]["kernel"].shape == (3, 3, size, size)
    assert set(params) == {"MLP_0", *(f"stack_blocks_{i}" for i in range(len(stacks)))}
    assert {k: v["kernel"].shape for k, v in params["MLP_0"].items()} == {"Dense_0": (flat, features)}
    assert encoder.output_dim == features


def test_initial_kernels_are_xavier_uniform():
    params = Impala((8,), 1, (5,)).init(jax.random.key(0), (4, 4, 3))
    kernel = np.asarray(params["stack_blocks_0"]["Conv_0"]["kernel"])
    limit = (6 / (9 * 3 + 9 * 8)) ** 0.5
    assert 0.9 * limit < np.abs(kernel).max() <= limit
    assert not jnp.any(params["stack_blocks_0"]["Conv_0"]["bias"])
