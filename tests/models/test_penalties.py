"""R1 and R2 are exact: they equal closed forms, and the range of the pixels does not matter."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from tiny_gan import BATCH, PIXELS, build, tiny

from dcgan_tf.models.noise import BatchRNG
from dcgan_tf.models.penalties import GradientPenalty, mean_square


def rng(images_seen=0):
    index = tf.range(images_seen, images_seen + 8, dtype=tf.int64)
    return BatchRNG(0, index, 8)


def test_the_penalty_has_its_closed_forms_in_both_ranges_and_falls_with_the_images_seen():
    weights = np.random.RandomState(1).randn(4 * 4 * 3, 1).astype("float32")
    images = tf.constant(np.random.RandomState(2).randn(5, 4, 4, 3), tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(images)
        logits = tf.reshape(images, (5, -1)) @ weights
    slopes, square = tape.gradient(logits, images), float((weights**2).sum())
    assert float(mean_square(slopes)) == pytest.approx(square, rel=1e-5)
    assert float(GradientPenalty(0, 0)(slopes, slopes, rng())) == 0
    wide = GradientPenalty(0.5, 2.0)(slopes, slopes, rng())
    assert float(wide) == pytest.approx((0.25 + 1.0) * square, rel=1e-5)
    # The same D changes twice as fast with images x = (y + 1) / 2 in [0, 1] as with y.
    narrow = GradientPenalty(0.5, 2.0, "sigmoid")(2 * slopes, 2 * slopes, rng())
    assert float(narrow) == pytest.approx(float(wide))
    penalty = GradientPenalty(1, 0, end=0.01, images=800)
    values = [float(penalty(slopes, slopes, rng(seen))) for seen in (0, 400, 800, 8000)]
    np.testing.assert_allclose(values, square / 2 * np.array([1, 0.1, 0.01, 0.01]), rtol=1e-5)


@pytest.mark.slow
def test_the_step_adds_the_exact_penalty_to_d_s_loss_and_follows_its_gradient():
    keras.config.set_floatx("float64")
    try:
        config = tiny(d_norm="none", output_activation="tanh", init_stddev=0.1)
        plain, penalised = build(config), build(config, penalty=GradientPenalty(3.0, 0.0))
        reals = tf.constant(PIXELS[:BATCH] / 127.5 - 1.0)

        def mean_squared_slope(values):
            plain.discriminator.set_weights(values)
            pictures = tf.Variable(reals)
            with tf.GradientTape() as tape:
                logits = plain.discriminator(pictures)
            return float(mean_square(tape.gradient(logits, pictures)))

        start = plain.discriminator.get_weights()
        expected = 1.5 * mean_squared_slope(start)
        # A change of one weight changes the penalty by what the step's gradient says.
        bumped = [w.copy() for w in start]
        bumped[0][0, 0, 0, 0] += 1e-6
        slope = 1.5 * (mean_squared_slope(bumped) - expected / 1.5) / 1e-6
        plain.discriminator.set_weights(start)
        batch = tf.data.Dataset.from_tensors(PIXELS[:BATCH])
        losses = [m.fit(batch, verbose=0).history["d_loss"][0] for m in (plain, penalised)]
        assert losses[1] - losses[0] == pytest.approx(expected, rel=1e-3)
        moved = [m.discriminator.get_weights()[0][0, 0, 0, 0] for m in (plain, penalised)]
        assert moved[1] - moved[0] == pytest.approx(-0.1 * slope, rel=1e-3)  # SGD's rate
    finally:
        keras.config.set_floatx("float32")
