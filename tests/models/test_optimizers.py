"""Adam in one operation, and the schedules of learning rates, penalties and augmentation."""

from dataclasses import replace

import keras
import numpy as np
import pytest
from tiny_gan import tiny

from dcgan_tf.common.config import Config
from dcgan_tf.models.gan import DCGAN
from dcgan_tf.models.optimizers import Adam, learning_rate_of
from dcgan_tf.models.schedules import falling, rising

STEPS = np.random.default_rng(0).normal(size=(30, 4, 3))


def course(adam, dtype):
    """The weights after each of STEPS, and the moments at the end."""
    weights = keras.Variable(np.ones((4, 3)), dtype=dtype)
    adam.build([weights])
    seen = []
    for gradient in STEPS:
        adam.apply_gradients([(keras.ops.convert_to_tensor(gradient, dtype), weights)])
        seen.append(weights.numpy())
    return seen, [variable.numpy() for variable in adam.variables]


def test_it_is_the_published_formula():
    """Kingma & Ba 2015, section 2, the order of computation at its end, in which epsilon stands
    beside the root that is not corrected."""
    rate, beta_1, beta_2, epsilon = float(np.float32(4e-3)), 0.5, 0.999, 1e-7
    m = v = np.zeros((4, 3))
    expected = np.ones((4, 3))
    seen, _ = course(Adam(4e-3, beta_1, beta_2), "float64")
    for t, (gradient, found) in enumerate(zip(STEPS, seen, strict=True), 1):
        m = beta_1 * m + (1 - beta_1) * gradient
        v = beta_2 * v + (1 - beta_2) * gradient**2
        size = rate * np.sqrt(1 - beta_2**t) / (1 - beta_1**t)
        expected = expected - size * m / (np.sqrt(v) + epsilon)
        np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_it_goes_keras_way_up_to_rounding_and_keeps_what_keras_keeps():
    own, keras_own = Adam(4e-3, 0.5, 0.999), keras.optimizers.Adam(4e-3, 0.5, 0.999)
    for found, expected in zip(course(own, "float32"), course(keras_own, "float32"), strict=True):
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_allclose(one, other, rtol=2e-5, atol=1e-7)
    assert [v.shape for v in own.variables] == [v.shape for v in keras_own.variables]
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(own))
    assert type(again) is Adam and again.get_config() == own.get_config()


@pytest.mark.parametrize("precision", ["float32", "mixed_float16"])
def test_the_config_chooses_betas_and_loss_scale(precision):
    config = replace(tiny(), precision=precision, beta_1=0.3, g_learning_rate=1e-3)
    optimizer = DCGAN.from_config(config).g_optimizer
    scaled = isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
    assert scaled == (precision == "mixed_float16")
    adam = optimizer.inner_optimizer if scaled else optimizer
    assert type(adam) is Adam and adam.beta_1 == 0.3
    assert float(adam.learning_rate) == pytest.approx(1e-3)


@pytest.mark.parametrize(
    ("course", "expected"),
    [
        ("none", [1, 1, 1, 1]),
        ("linear", [1, 0.775, 0.55, 0.1]),
        ("cosine", [1, 0.1 + 0.9 * (1 + np.sqrt(0.5)) / 2, 0.55, 0.1]),
        ("exponential", [1, 10**-0.25, 10**-0.5, 0.1]),
    ],
)
def test_schedules_at_their_start_on_the_way_at_the_end_and_after_it(course, expected):
    found = [float(falling(course, seen, 1000, 0.1)) for seen in (0, 250, 500, 1000, 10**12)]
    np.testing.assert_allclose(found, [*expected, expected[-1]], rtol=1e-6)
    assert float(falling(course, 500, 0, 0.1)) == float(rising(0, 0)) == 1  # without images
    assert [float(rising(seen, 100)) for seen in (0, 25, 200)] == [0, 0.25, 1]


def test_the_learning_rate_falls_by_images_whatever_the_batch():
    for batch in (8, 64):
        config = Config(lr_decay="linear", decay_images=6400, lr_end=0.5, batch_size=batch)
        assert float(learning_rate_of(config, 0.2)(3200 // batch)) == pytest.approx(0.15)
    assert learning_rate_of(Config(), 0.2) == 0.2
