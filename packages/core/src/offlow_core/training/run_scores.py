"""The score of a run by every rule that needs no other run."""

import numpy as np

LAST_K = 3
LAST, BEST = "last", "best (online-selected)"


def mean_rule(last_k: int) -> str:
    """What the mean of the last evaluations is called."""
    return f"mean of last {last_k}"


def final_scores(steps: np.ndarray, scores: np.ndarray, last_k: int = LAST_K) -> dict[str, float]:
    """Evaluations in order, steps [n] and scores [n] -> score by the name of its rule; nothing where there are none.

    The mean leaves out the evaluation after the first update, and is there from `last_k` others on.
    """
    if len(scores) == 0:
        return {}
    trained = scores[steps > 1]
    mean = {mean_rule(last_k): float(np.mean(trained[-last_k:]))} if len(trained) >= last_k else {}
    return {LAST: float(scores[-1]), **mean, BEST: float(np.max(scores))}
