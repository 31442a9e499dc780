"""How well a score tells two kinds apart: the area under the ROC curve."""

import numpy as np


def auc(scores: np.ndarray, truth: np.ndarray) -> float:
    """The chance that one that is true scores above one that is not (ties count half).

    Args:
        scores: float (n,); truth: bool (n,), with some of both.

    Returns:
        0..1; 0.5 is what chance has. NaN where one of the two kinds is missing.
    """
    truth = np.asarray(truth, bool)
    true, false = int(truth.sum()), int((~truth).sum())
    if not true or not false:
        return float("nan")
    _, group, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[group]  # equal scores share their mean rank
    return float((ranks[truth].sum() - true * (true + 1) / 2) / (true * false))
