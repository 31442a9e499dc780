"""The area under the ROC curve, against its definition."""

import numpy as np
import pytest

from dcgan_tf.metrics.auc import auc


def by_pairs(scores, truth):
    true, false = scores[truth][:, None], scores[~truth]
    return ((true > false) + 0.5 * (true == false)).mean()


@pytest.mark.parametrize("digits", [0, 8])  # with many ties, and with none
def test_it_is_the_share_of_pairs_in_the_right_order(digits):
    rng = np.random.RandomState(digits)
    truth = rng.rand(200) < 0.3
    scores = np.round(rng.randn(200) + truth, digits)
    assert auc(scores, truth) == pytest.approx(by_pairs(scores, truth), abs=1e-12)


def test_ends():
    truth = np.array([0, 0, 1, 1])
    assert auc(np.array([1, 2, 3, 4]), truth) == 1
    assert auc(np.array([4, 3, 2, 1]), truth) == 0
    assert auc(np.zeros(4), truth) == 0.5
    assert np.isnan(auc(np.arange(4), np.ones(4)))
