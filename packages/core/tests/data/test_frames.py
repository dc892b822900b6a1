import numpy as np
import pytest

from offlow_core.data.frames import augment, crop, crop_batch


def test_crop_shifts_an_image_and_repeats_its_edge():
    image = np.arange(9, dtype=np.uint8).reshape(1, 3, 3, 1)
    centre, corner, down = (
        crop(image, np.array([offset]), padding=1)[0, :, :, 0].tolist() for offset in [(1, 1), (0, 0), (2, 1)]
    )
    assert centre == [[0, 1, 2], [3, 4, 5], [6, 7, 8]]
    assert corner == [[0, 0, 1], [0, 0, 1], [3, 3, 4]]
    assert down == [[3, 4, 5], [6, 7, 8], [6, 7, 8]]


def test_crop_equals_padding_and_cutting():
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (20, 8, 9, 3), np.uint8)
    offsets = generator.integers(0, 7, (20, 2))
    padded = np.pad(images, ((0, 0), (3, 3), (3, 3), (0, 0)), mode="edge")
    expected = [p[r : r + 8, c : c + 9] for p, (r, c) in zip(padded, offsets, strict=True)]
    np.testing.assert_array_equal(crop(images, offsets, 3), expected)


@pytest.fixture
def batch() -> dict[str, np.ndarray]:
    images = np.random.default_rng(1).integers(0, 256, (4, 8, 8, 3), np.uint8)
    return {"observations": images, "next_observations": images, "actions": np.zeros((4, 2), np.float32)}


def test_observation_and_successor_share_their_offset(batch):
    cropped = crop_batch(batch, np.array([[0, 6], [3, 3], [6, 0], [1, 2]]))
    np.testing.assert_array_equal(cropped["observations"], cropped["next_observations"])
    assert not np.array_equal(cropped["observations"], batch["observations"])
    np.testing.assert_array_equal(cropped["observations"][1], batch["observations"][1])


def test_states_are_not_cropped(batch):
    states = batch | {"observations": np.ones((4, 5)), "next_observations": np.ones((4, 5))}
    np.testing.assert_array_equal(crop_batch(states, np.zeros((4, 2), int))["observations"], np.ones((4, 5)))


def test_a_batch_is_augmented_as_a_whole_with_the_given_probability(batch):
    generator = np.random.default_rng(2)
    augmented = [augment(batch, generator, 0.5) is not batch for _ in range(400)]
    assert 150 < sum(augmented) < 250
    assert augment(batch, generator, 0.0) is batch
    assert augment(batch, generator, 1.0) is not batch
