"""Hinge and relativistic losses on numbers that can be worked out by hand."""

import math

import numpy as np
import pytest
import tensorflow as tf
from tiny_gan import build, tiny

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


def test_hinge_and_relativistic_losses_by_hand():
    # Hinge counts what is on the wrong side of its margin: reals 0, .5, 2; fakes 0, 1, 4.
    hinge, pairing = Hinge(), Relativistic()
    assert float(hinge.discriminator(REALS, FAKES, None)) == pytest.approx((2.5 + 5) / 6)
    assert float(hinge.generator(FAKES)) == pytest.approx(-1 / 3)
    # The other looks at the difference of each pair alone.
    apart = np.array([4.0, 0.5, -4.0])
    for_d, for_g = (np.log1p(np.exp(x)).mean() for x in (-apart, apart))
    assert float(pairing.discriminator(REALS, FAKES, None)) == pytest.approx(for_d)
    assert float(pairing.discriminator(REALS + 7, FAKES + 7, None)) == pytest.approx(for_d, 1e-5)
    assert float(pairing.generator(FAKES, REALS)) == pytest.approx(for_g)
    real, fake = map(float, pairing.mean_probabilities(REALS, FAKES))
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


@pytest.mark.parametrize("loss", [Hinge(), Relativistic(), NonSaturating(0.1)])
def test_a_model_with_each_comes_back_from_its_config(loss):
    model = build(tiny(d_norm="none"), loss=loss)
    again = type(model).from_config(model.get_config())
    assert type(again.loss_terms) is type(loss)
    assert again.loss_terms.get_config() == loss.get_config()
