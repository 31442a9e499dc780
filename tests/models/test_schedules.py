"""What falls and rises, at its start, on its way, at its end and after it."""

import numpy as np
import pytest

from dcgan_tf.common.config import Config
from dcgan_tf.models.optimizers import learning_rate_of
from dcgan_tf.models.schedules import falling, rising


@pytest.mark.parametrize(
    ("course", "expected"),
    [
        ("none", [1, 1, 1, 1]),
        ("linear", [1, 0.775, 0.55, 0.1]),
        ("cosine", [1, 0.1 + 0.9 * (1 + np.sqrt(0.5)) / 2, 0.55, 0.1]),
        ("exponential", [1, 10**-0.25, 10**-0.5, 0.1]),
    ],
)
def test_each_course(course, expected):
    found = [float(falling(course, seen, 1000, 0.1)) for seen in (0, 250, 500, 1000)]
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert float(falling(course, 10**12, 1000, 0.1)) == pytest.approx(expected[-1])


def test_without_images_nothing_moves():
    assert float(falling("linear", 500, 0, 0.1)) == float(rising(0, 0)) == 1
    assert [float(rising(seen, 100)) for seen in (0, 25, 200)] == [0, 0.25, 1]


def test_the_learning_rate_falls_by_images_whatever_the_batch():
    for batch in (8, 64):
        config = Config(lr_decay="linear", decay_images=6400, lr_end=0.5, batch_size=batch)
        rate = learning_rate_of(config, 0.2)
        assert float(rate(3200 // batch)) == pytest.approx(0.15)
    assert learning_rate_of(Config(), 0.2) == 0.2
