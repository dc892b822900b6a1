"""Action chunks against those of Q-chunking's own sampler (OFFLOW_GOLDEN names another folder of cases)."""

import numpy as np
import pytest

from offlow_core.data.chunks import gather_chunks
from offlow_core.data.transitions import Transitions
from offlow_core.testing.golden import GoldenCase, case_files, load_case

CASES = [case for case in map(load_case, case_files(__file__, "sacflow_offline")) if case.has("dataset")]


def test_there_is_a_case():
    assert CASES


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_chunks(case: GoldenCase):
    transitions = Transitions.from_arrays(**case.group("dataset"))
    config = case.config
    chunks = gather_chunks(transitions, case.arrays["idxs"], config["horizon_length"], config["discount"])
    expected = case.group("expected")
    np.testing.assert_allclose(chunks.pop("rewards"), expected.pop("rewards"), rtol=1e-6)
    assert set(chunks) == set(expected)
    for name, values in expected.items():
        np.testing.assert_array_equal(chunks[name], values, err_msg=name)
