import math

import numpy as np
import pytest

from offlow_core.evaluation import EpisodeRecord, summarise
from offlow_core.evaluation.records import numbers_in

RECORDS = [
    EpisodeRecord(0, 17, -3.0, 4, True, 1.0, {"height": 2.0}),
    EpisodeRecord(1, 23, -8.0, 8, False, 0.0, {"height": 4.0, "bonus": 5.0}),
]


def test_summary_is_the_mean_over_episodes():
    expected = {"return": -5.5, "length": 6.0, "success": 0.5, "info/height": 3.0, "info/bonus": 5.0}
    assert summarise(RECORDS) == expected


def test_unreported_success_stays_unknown():
    assert math.isnan(summarise([EpisodeRecord(0, 1, 2.0, 3, False, math.nan)])["success"])


def test_nothing_to_summarise_is_an_error():
    with pytest.raises(ValueError, match="at least one episode"):
        summarise([])


def test_row_names_the_columns_of_a_table():
    assert RECORDS[0].row() == {
        "episode": 0,
        "seed": 17,
        "return": -3.0,
        "length": 4,
        "terminated": 1.0,
        "success": 1.0,
        "info/height": 2.0,
    }


def test_only_single_numbers_are_taken_from_an_info():
    info = {
        "truth": True,
        "numpy_truth": np.bool_(False),
        "count": np.int64(3),
        "scalar": np.array(2.5, np.float32),
        "text": "cube",
        "letters": np.array("cube"),
        "vector": np.ones(1),
        "ragged": [[1], [2, 3]],
        "nested": {"return": 1.0},
        "nothing": None,
    }
    assert numbers_in(info) == {"truth": 1.0, "numpy_truth": 0.0, "count": 3.0, "scalar": 2.5}
