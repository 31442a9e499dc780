"""Logistic regression on features: the optimum, found with L-BFGS, and its strength of ridge
chosen on pictures that it was not fitted to."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

RIDGES = (1e-4, 1e-3, 1e-2, 1e-1)  # tried by `choose`
TOLERANCE = 1e-4  # of the largest slope at the start: the loss is then within 1e-5 of its least
_MEMORY = 10  # pairs of steps that L-BFGS remembers
_MOST_STEPS = 1000
_CURVATURE = 0.1  # of cross-entropy in a logit, about: 1/4 at a guess, near 0 where it is sure


@dataclass(frozen=True)
class Linear:
    """A linear classifier of several classes.

    Attributes:
        weights: float32 (features, classes); bias: float32 (classes,).
    """

    weights: np.ndarray
    bias: np.ndarray

    def logits(self, features: np.ndarray) -> np.ndarray:
        """float32 (n, classes) of features (n, features)."""
        return features @ self.weights + self.bias


def fit(features: np.ndarray, classes: np.ndarray, count: int, ridge: float) -> Linear:
    """Multinomial logistic regression: the least mean cross-entropy + ridge/2 |weights|^2.

    The features are brought to mean 0 and standard deviation 1 first, so that the ridge weighs all
    alike; the bias has none. Of two classes the weights are each other's opposite.

    Args:
        features: float (n, features); classes: int (n,), from 0; count: of classes; ridge: above 0.

    Raises:
        ArithmeticError: no optimum was reached, as for features that are NaN.
    """
    return _fits(features, classes, count, (ridge,))[0]


def _fits(features, classes, count, ridges):
    """list[Linear]: one a ridge; what they share is computed once."""
    mean, scale = features.mean(axis=0, dtype=np.float64), features.std(axis=0, dtype=np.float64)
    if not np.isfinite(scale).all():
        raise ArithmeticError("features that are NaN or infinite")
    scale = np.where(
        scale > 1e-6 * max(scale.max(), 1e-12), scale, np.inf
    )  # constants tell nothing
    known = ((features - mean) / scale).astype(np.float32)
    variances, axes = _axes(known)
    targets = np.eye(count)[classes]
    found = []
    for ridge in ridges:
        # On the axes of the features, each brought to the same curvature, the search needs dozens
        # of steps instead of thousands; the optimum is the same.
        stretch = 1 / np.sqrt(np.maximum(variances, 0) * _CURVATURE + ridge)
        turned = axes * stretch
        weights, bias = _search(known @ turned.astype(np.float32), targets, ridge * stretch**2)
        weights = turned @ weights / scale[:, None]
        found.append(Linear(weights.astype(np.float32), (bias - mean @ weights).astype(np.float32)))
    return found


def _axes(known):
    """The principal axes of centred features, (features, axes), and the variance along each.

    Of fewer examples than features those in which the examples lie: a ridge keeps the weights
    there, too.
    """
    count, length = known.shape
    if count >= length:
        return np.linalg.eigh((known.T @ known).astype(np.float64) / count)
    variances, along = np.linalg.eigh((known @ known.T).astype(np.float64) / count)
    some = variances > 1e-7 * variances[-1]
    variances, along = variances[some], along[:, some]
    return variances, known.T @ along / np.sqrt(count * variances)


def _search(known, targets, ridges):
    """The optimum as float64 weights (features, classes) and bias (classes,); a ridge a feature."""
    count = targets.shape[1]

    def loss(flat):
        weights, bias = flat[count:].reshape(-1, count), flat[:count]
        logits = (known @ weights.astype(np.float32)).astype(np.float64) + bias
        logits -= logits.max(axis=1, keepdims=True)
        shares = np.exp(logits)
        sums = shares.sum(axis=1, keepdims=True)
        value = (np.log(sums[:, 0]) - np.sum(logits * targets, axis=1)).mean()
        errors = (shares / sums - targets) / len(known)
        pulled = ridges[:, None] * weights
        slope = known.T @ errors.astype(np.float32) + pulled
        whole = np.concatenate([errors.sum(axis=0), slope.ravel()])
        return value + np.sum(pulled * weights) / 2, whole

    flat = minimise(loss, np.zeros((known.shape[1] + 1) * count))
    return flat[count:].reshape(-1, count), flat[:count]


def choose(
    features: np.ndarray,
    classes: np.ndarray,
    count: int,
    held: np.ndarray,
    ridges: Sequence[float] = RIDGES,
) -> tuple[Linear, float]:
    """The regression whose ridge is best on held-out examples, fitted again to all.

    Args:
        features, classes, count: as for `fit`; held: bool (n,), those that only choose the ridge;
            ridges: that are tried.

    Returns:
        The classifier and its ridge.
    """

    tried = _fits(features[~held], classes[~held], count, ridges)
    right = [(each.logits(features[held]).argmax(axis=1) == classes[held]).mean() for each in tried]
    best = ridges[int(np.argmax(right))]
    return fit(features, classes, count, best), best


def minimise(loss: Callable, start: np.ndarray) -> np.ndarray:
    """The least value of a smooth convex function: L-BFGS (Liu & Nocedal 1989), steps by Armijo.

    Args:
        loss: function of float64 (n,) that gives the value and the slope (n,); start: float64 (n,).

    Raises:
        ArithmeticError: the slope is not below TOLERANCE of that at the start after all steps.
    """
    point, (value, slope) = start, loss(start)
    wanted = TOLERANCE * max(np.abs(slope).max(), 1e-12)
    moves, turns = [], []
    for _ in range(_MOST_STEPS):
        if np.abs(slope).max() <= wanted:
            return point
        step = _direction(slope, moves, turns)
        length = 1.0 if moves else 1 / max(np.abs(slope).sum(), 1e-12)
        descent = slope @ step
        while True:
            ahead = point + length * step
            value_ahead, slope_ahead = loss(ahead)
            if value_ahead <= value + 1e-4 * length * descent:
                break
            length /= 2
            if length < 1e-12:  # rounding hides what descent there is
                if np.abs(slope).max() <= 100 * wanted:
                    return point
                raise ArithmeticError("no step leads down")
        move, turn = ahead - point, slope_ahead - slope
        if move @ turn > 1e-12 * (turn @ turn):
            moves, turns = [*moves, move][-_MEMORY:], [*turns, turn][-_MEMORY:]
        point, value, slope = ahead, value_ahead, slope_ahead
    raise ArithmeticError(f"no optimum after {_MOST_STEPS} steps")


def _direction(slope, moves, turns):
    """float64 (n,): down, by the curvature that the last steps showed (two-loop recursion)."""
    step, factors = -slope, []
    for move, turn in zip(moves[::-1], turns[::-1], strict=True):
        factors.append((move @ step) / (move @ turn))
        step = step - factors[-1] * turn
    if moves:
        step = step * (moves[-1] @ turns[-1]) / (turns[-1] @ turns[-1])
    for move, turn, factor in zip(moves, turns, factors[::-1], strict=True):
        step = step + (factor - (turn @ step) / (move @ turn)) * move
    return step
