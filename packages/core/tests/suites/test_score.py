"""Score rules on numbers computed by hand."""

import numpy as np
import pytest

from offlow_core.suites.score import RETURN, SUCCESS, ScoreRule


def test_low_scores_0_and_high_scores_100():
    hopper = ScoreRule("normalised return", "return", -20.272305, 3234.3, is_share=False)
    assert hopper.of(-20.272305) == 0
    assert hopper.of(3234.3) == pytest.approx(100)
    assert hopper.of_means({"return": 1607.0138475, "success": 3.0}) == pytest.approx(50)
    assert hopper.slope == pytest.approx(100 / 3254.572305)


def test_the_score_of_the_mean_is_the_mean_of_the_scores():
    rule, returns = ScoreRule("r", "return", -5.0, 20.0, is_share=False), np.array([1.0, 2.0, 40.0])
    assert rule.of_means({"return": returns.mean()}) == pytest.approx(rule.of(returns).mean())


def test_labels_say_what_is_a_percentage():
    assert SUCCESS.label == "success (%)"
    assert RETURN.label == "return"
    assert RETURN.of(12.5) == 12.5
