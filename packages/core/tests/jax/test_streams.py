"""Named streams: same name and seed, same draws; anything else, others."""

import jax
import numpy as np

from offlow_core.jax.streams import stream_key, stream_keys


def test_streams_differ_by_seed_and_by_name():
    data = {jax.random.key_data(stream_key(s, n)).tobytes() for s in range(20) for n in ("init", "data/a", "data/b")}
    assert len(data) == 60


def test_keys_of_several_seeds_are_those_of_each_one():
    keys = stream_keys([5, 2], "noise/offline")
    assert keys.shape == (2,)
    np.testing.assert_array_equal(jax.random.key_data(keys[1]), jax.random.key_data(stream_key(2, "noise/offline")))


def test_streams_are_the_same_in_every_process():
    # The CRC-32 of "init"; Python's own hash would differ from process to process.
    expected = jax.random.fold_in(jax.random.key(7), 3329549428)
    np.testing.assert_array_equal(jax.random.key_data(stream_key(7, "init")), jax.random.key_data(expected))
