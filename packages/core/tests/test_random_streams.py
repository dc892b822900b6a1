"""Seeds of named streams: same name, seed and counters, same bits; anything else, others."""

import numpy as np

from offlow_core.random_streams import stream_number, stream_seed


def test_a_name_has_the_same_number_in_every_process():
    # The CRC-32; Python's own hash would differ from process to process.
    assert stream_number("init") == 3329549428
    assert stream_number("") == 0


def test_seeds_differ_by_root_seed_name_and_counters():
    names = ("init", "data", "noise", "eval")
    seeds = [stream_seed(seed, name, step) for seed in range(20) for name in names for step in (0, 1, 100_000)]
    seeds += [stream_seed(1, "env", seed, episode) for seed in range(5) for episode in range(5)]
    assert len(set(seeds)) == 20 * 4 * 3 + 25
    assert all(0 <= seed < 2**32 for seed in seeds)


def test_seeds_stay_what_they_are():
    # Every run draws from them: other numbers would be other results.
    expected = np.random.SeedSequence([7, 3329549428, 5]).generate_state(1)[0]
    assert stream_seed(7, "init", 5) == expected
    assert isinstance(stream_seed(7, "init", 5), int)
