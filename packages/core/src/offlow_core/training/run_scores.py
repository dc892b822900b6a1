"""The score of a run by every rule that needs no other run."""

import numpy as np

LAST_K = 3


def final_scores(scores: np.ndarray, last_k: int = LAST_K) -> dict[str, float]:
    """Evaluation scores [n] in order -> score by the name of its rule; nothing where there are none."""
    if len(scores) == 0:
        return {}
    return {
        "last": float(scores[-1]),
        f"mean of last {last_k}": float(np.mean(scores[-last_k:])),
        "best (online-selected)": float(np.max(scores)),
    }
