"""Batches on the device equal the numpy reference, and are drawn uniformly."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from offlow_core.data import frames
from offlow_core.jax.device_data import Sampler, augment, crop, to_device


@pytest.mark.parametrize("kind", ["states", "images"])
@pytest.mark.parametrize("frame_stack", [1, 3])
def test_gather_equals_the_reference(kind, frame_stack, request):
    transitions = request.getfixturevalue(kind)
    indices = np.arange(len(transitions))
    found = Sampler(frame_stack=frame_stack).gather(to_device(transitions), indices, {})
    expected = transitions.gather(indices, frame_stack)
    assert set(found) == set(expected) - {"terminals"}
    for name, values in found.items():
        assert values.dtype == expected[name].dtype, name
        np.testing.assert_array_equal(values, expected[name], err_msg=name)


def test_columns_go_with_their_transitions(states):
    columns = {"density": jnp.arange(100, 100 + len(states))}
    batch = Sampler().gather(to_device(states), jnp.array([10, 0, 3]), columns)
    assert batch["density"].tolist() == [110, 100, 103]


def test_only_the_first_transitions_are_sampled_and_those_uniformly(states):
    data = to_device(states)._replace(size=jnp.asarray(7))
    columns = {"index": jnp.arange(len(states))}
    batch = jax.jit(Sampler().sample, static_argnums=2)(data, jax.random.key(0), 7000, columns)
    counts = np.bincount(batch["index"])
    assert len(counts) == 7
    # Chi-squared with 6 degrees of freedom exceeds 22.5 once in a thousand.
    assert ((counts - 1000) ** 2 / 1000).sum() < 22.5
    np.testing.assert_array_equal(batch["actions"], states.actions[batch["index"]])


def test_a_batch_depends_on_its_key_alone(states):
    data = to_device(states)
    draws = [Sampler().sample(data, jax.random.key(k), 8, {})["rewards"].tolist() for k in (1, 1, 2)]
    assert draws[0] == draws[1] != draws[2]


def test_crop_equals_the_reference(images):
    pictures = images.observations[:9]
    offsets = np.array([[i, j] for i in (0, 3, 6) for j in (0, 3, 6)])
    found = np.asarray(crop(jnp.asarray(pictures), jnp.asarray(offsets), 3))
    np.testing.assert_array_equal(found, frames.crop(pictures, offsets, 3))
    np.testing.assert_array_equal(found[4], pictures[4])  # the middle offset moves nothing
    padded = np.pad(pictures[0], ((3, 3), (3, 3), (0, 0)), mode="edge")
    np.testing.assert_array_equal(found[0], padded[:7, :6])


def marked_batch(size: int) -> dict[str, jax.Array]:
    """Images whose pixels tell their place; successors are 100 higher."""
    place = jnp.arange(7 * 7).reshape(7, 7, 1).astype(jnp.uint8)
    observations = jnp.broadcast_to(place, (size, 7, 7, 1))
    return {"observations": observations, "next_observations": observations + 100, "actions": jnp.zeros((size, 1))}


def test_probability_zero_and_one():
    batch = marked_batch(50)
    same = augment(batch, jax.random.key(0), 0.0)
    np.testing.assert_array_equal(same["observations"], batch["observations"])
    moved = augment(batch, jax.random.key(0), 1.0)
    np.testing.assert_array_equal(moved["next_observations"], moved["observations"] + 100)
    np.testing.assert_array_equal(moved["actions"], batch["actions"])
    # The pixel in the middle shows where each sample was cut: an offset of 0 to 6 in both directions.
    rows, columns = np.divmod(np.asarray(moved["observations"])[:, 3, 3, 0], 7)
    assert set(rows) == set(columns) == set(range(7))


def test_a_batch_is_cropped_as_a_whole_with_the_given_probability():
    batch = marked_batch(4)

    def moved(key: jax.Array) -> jax.Array:
        found = augment(batch, key, 0.3)["observations"]
        return (found != batch["observations"]).any((1, 2, 3))

    each = np.asarray(jax.jit(jax.vmap(moved))(jax.random.split(jax.random.key(0), 2000)))
    # A single sample stays in place with probability 1 / 49.
    assert each.any(1).mean() == pytest.approx(0.3, abs=0.04)
    assert each.all(1).mean() == pytest.approx(0.3 * (48 / 49) ** 4, abs=0.04)


def test_the_sampler_crops_only_if_asked(images):
    data, key = to_device(images), jax.random.key(3)
    plain = Sampler(frame_stack=2).sample(data, key, 6, {})
    never = Sampler(frame_stack=2, crop_probability=1e-9).sample(data, key, 6, {})
    always = Sampler(frame_stack=2, crop_probability=1.0).sample(data, key, 6, {})
    np.testing.assert_array_equal(plain["observations"], never["observations"])
    np.testing.assert_array_equal(plain["rewards"], always["rewards"])
    assert (plain["observations"] != always["observations"]).any()
    assert always["observations"].shape == (6, 7, 6, 4)
