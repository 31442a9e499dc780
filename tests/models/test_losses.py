"""Hinge and relativistic losses on numbers that can be worked out by hand."""

import math

import numpy as np
import pytest
import tensorflow as tf
from tiny_gan import build, fit, tiny

from dcgan_tf.models.losses import (
    Hinge,
    NonSaturating,
    Relativistic,
    discriminator_loss,
    generator_loss,
)
from dcgan_tf.report.curves import GUESSING

REALS = tf.constant([[2.0], [0.5], [-1.0]])
FAKES = tf.constant([[-2.0], [0.0], [3.0]])


def softplus(x):
    return np.log1p(np.exp(x))


def test_hinge_counts_only_what_is_on_the_wrong_side_of_its_margin():
    loss = Hinge()
    # reals: 0, .5, 2; fakes: 0, 1, 4
    assert float(loss.discriminator(REALS, FAKES, None)) == pytest.approx((2.5 + 5) / 6)
    assert float(loss.generator(FAKES)) == pytest.approx(-1 / 3)


def test_the_relativistic_loss_looks_at_the_difference_of_each_pair():
    loss = Relativistic()
    apart = np.array([4.0, 0.5, -4.0])
    assert float(loss.discriminator(REALS, FAKES, None)) == pytest.approx(softplus(-apart).mean())
    assert float(loss.generator(FAKES, REALS)) == pytest.approx(softplus(apart).mean())
    shifted = loss.discriminator(REALS + 7, FAKES + 7, None)
    assert float(shifted) == pytest.approx(softplus(-apart).mean(), rel=1e-5)
    real, fake = map(float, loss.mean_probabilities(REALS, FAKES))
    assert real == pytest.approx((1 / (1 + np.exp(-apart))).mean()) and fake == 1 - real


def test_a_d_that_only_guesses_has_the_loss_that_is_said():
    nothing, ones = tf.zeros((4, 1)), tf.ones((4, 1))
    hinge = float(Hinge().discriminator(nothing, nothing, None))
    assert hinge == Hinge.guessing == GUESSING["hinge"]
    for loss in (
        Relativistic().discriminator(nothing, nothing, None),
        discriminator_loss(nothing, nothing, ones, nothing),
        generator_loss(nothing),
    ):
        assert float(loss) == pytest.approx(math.log(2))
    assert float(generator_loss(-1e4 * ones)) == pytest.approx(1e4)  # finite, with a gradient


@pytest.mark.slow
@pytest.mark.parametrize("loss", [Hinge(), Relativistic(), NonSaturating(0.1)])
def test_a_model_trains_with_each_and_comes_back_from_its_config(loss):
    model = build(tiny(d_norm="none"), loss=loss)
    before = model.generator.get_weights()
    history = fit(model)
    assert all(math.isfinite(values[0]) for values in history.values())
    assert any((a != b).any() for a, b in zip(before, model.generator.get_weights(), strict=True))
    again = type(model).from_config(model.get_config())
    assert type(again.loss_terms) is type(loss)
    assert again.loss_terms.get_config() == loss.get_config()
