"""Logistic regression: the optimum itself, and a ridge chosen on what was held out."""

import numpy as np
import pytest

from dcgan_tf.metrics.logistic import TOLERANCE, choose, fit, minimise


def problem(count=3, examples=300, features=12, seed=0):
    """Correlated features of different scales, and classes that they tell with errors."""
    rng = np.random.RandomState(seed)
    mixing = rng.randn(features, features)
    known = (rng.randn(examples, features) @ mixing * np.geomspace(0.01, 100, features)) + 5
    true = np.linalg.solve(mixing.T, rng.randn(features, count)) / 3
    logits = (known - 5) / np.geomspace(0.01, 100, features) @ true + rng.gumbel(
        size=(examples, count)
    )
    return known.astype(np.float32), logits.argmax(axis=1)


def slopes(linear, features, classes, count, ridge):
    """The slope of the documented loss in the standardised weights and in the bias."""
    mean, scale = features.mean(axis=0, dtype=float), features.std(axis=0, dtype=float)
    known, weights = (features - mean) / scale, linear.weights * scale[:, None]
    logits = known @ weights + linear.bias + mean @ linear.weights
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    errors = shares / shares.sum(axis=1, keepdims=True) - np.eye(count)[classes]
    return known.T @ errors / len(known) + ridge * weights, errors.mean(axis=0)


@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize("ridge", [1e-4, 1e-2, 1.0])
@pytest.mark.parametrize("examples", [8, 300])  # fewer than features, and more
def test_it_is_the_optimum(count, ridge, examples):
    """The loss is convex, so where its slope is zero there is no better one."""
    features, classes = problem(count, examples)
    of_weights, of_bias = slopes(
        fit(features, classes, count, ridge), features, classes, count, ridge
    )
    assert np.abs(of_weights).max() < 1e-4 and np.abs(of_bias).max() < 1e-4


def test_more_features_than_examples_and_constant_ones():
    features, classes = problem(2, examples=20, features=40)
    features = np.hstack([features, np.full((20, 2), 7, np.float32)])
    linear = fit(features, classes, 2, 1e-3)
    assert (linear.logits(features).argmax(axis=1) == classes).all()
    assert (linear.weights[-2:] == 0).all()


def test_the_ridge_is_that_which_is_right_most_often_on_the_held_out():
    features, classes = problem(2, examples=60, features=50)
    held = np.arange(60) % 3 == 0
    right = {}
    for ridge in (1e-4, 1e-1, 1e3):
        linear = fit(features[~held], classes[~held], 2, ridge)
        right[ridge] = (linear.logits(features[held]).argmax(axis=1) == classes[held]).mean()
    assert len(set(right.values())) > 1
    linear, ridge = choose(features, classes, 2, held, tuple(right))
    assert right[ridge] == max(right.values())
    np.testing.assert_array_equal(linear.weights, fit(features, classes, 2, ridge).weights)


def test_the_search_finds_the_least_of_a_long_valley():
    curvatures = np.geomspace(1e-3, 1e3, 30)
    centre = np.arange(30.0)

    def loss(point):
        return np.sum(curvatures * (point - centre) ** 2) / 2, curvatures * (point - centre)

    slope = loss(minimise(loss, np.zeros(30)))[1]
    assert np.abs(slope).max() <= TOLERANCE * np.abs(loss(np.zeros(30))[1]).max()


def test_what_is_no_number_is_refused():
    with pytest.raises(ArithmeticError, match="NaN"):
        fit(np.full((4, 2), np.nan), np.array([0, 1, 0, 1]), 2, 1.0)
