"""The interval of a share, against what it promises."""

import math

import numpy as np
import pytest

from dcgan_tf.metrics.interval import wilson


@pytest.mark.parametrize("share", [0.02, 0.5, 0.97])
def test_it_holds_the_true_share_95_times_of_100(share):
    count = 200
    ends = [wilson(hits, count) for hits in range(count + 1)]
    chances = [
        math.comb(count, hits) * share**hits * (1 - share) ** (count - hits)
        for hits in range(count + 1)
    ]
    held = sum(c for c, (low, high) in zip(chances, ends, strict=True) if low <= share <= high)
    assert 0.92 < held < 0.985


def test_the_published_figures():
    np.testing.assert_allclose(wilson(0, 10), (0, 0.2775), atol=1e-4)
    np.testing.assert_allclose(wilson(5, 10), (0.2366, 0.7634), atol=1e-4)
    assert wilson(10, 10)[1] == pytest.approx(1)
