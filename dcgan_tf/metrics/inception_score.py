"""Inception Score."""

import numpy as np


def softmax(logits: np.ndarray) -> np.ndarray:
    """Class probabilities, float64 [n, classes], from logits [n, classes]."""
    exponentials = np.exp(np.asarray(logits, np.float64) - np.max(logits, axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)


def inception_score(probabilities: np.ndarray, splits: int = 10) -> tuple[float, float]:
    """Inception Score: exp of the mean of KL(p(y|x) || p(y)), as (mean, std over the splits).

    Salimans et al. 2016, "Improved Techniques for Training GANs", section 4, with the splits of
    their code: part i is [i n // splits, (i + 1) n // splits). It is 1 for equal rows, the number
    of classes for certain predictions spread over all of them.

    `probabilities` are [n, classes]. ValueError if there are fewer rows than splits.
    """
    count = len(probabilities)
    if count < splits:
        raise ValueError(f"{count} samples cannot make {splits} splits")
    scores = []
    for i in range(splits):
        rows = np.asarray(probabilities[i * count // splits : (i + 1) * count // splits], float)
        # KL(p(y|x) || p(y)) averaged over x is H(y) - H(y|x).
        scores.append(np.exp(_entropy(rows.mean(axis=0)) - _entropy(rows).mean()))
    return float(np.mean(scores)), float(np.std(scores))


def _entropy(probabilities: np.ndarray):
    # 0 log 0 = 0: the logarithm is taken of 1 there.
    logarithms = np.log(np.where(probabilities > 0, probabilities, 1.0))
    return -(probabilities * logarithms).sum(axis=-1)
