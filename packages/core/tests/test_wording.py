import pytest

from offlow_core.wording import counted, size


@pytest.mark.parametrize(
    ("number", "noun", "expected"),
    [(1, "file", "1 file"), (0, "file", "0 files"), (2000, "row", "2,000 rows"), (2, "trajectory", "2 trajectories")],
)
def test_counted(number, noun, expected):
    assert counted(number, noun) == expected


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (25_700_000, "25.7 MB"),
        (12_300_000_000, "12.3 GB"),
        (5 * 10**15, "5000.0 TB"),
    ],
)
def test_size(count, expected):
    assert size(count) == expected
