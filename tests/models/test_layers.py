"""Spectral normalisation: the largest singular value, and a D whose layers have it at 1."""

import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers import REPO
from tiny_gan import build, fit, tiny

from dcgan_tf.models.layers import SpectralConv2D, SpectralDense, largest_singular_value
from dcgan_tf.models.networks import build_discriminator


@pytest.mark.parametrize("shape", [(48, 5), (5, 48), (30, 30), (7, 1)])
def test_the_value_and_its_gradient_are_those_of_the_decomposition(shape):
    matrix = np.random.RandomState(3).randn(*shape)
    left, values, right = np.linalg.svd(matrix, full_matrices=False)
    variable = tf.Variable(matrix)
    with tf.GradientTape() as tape:
        found = largest_singular_value(variable)
    assert float(found) == pytest.approx(values[0], rel=1e-6)
    expected = np.outer(left[:, 0], right[0])
    np.testing.assert_allclose(tape.gradient(found, variable), expected, atol=1e-3)


def test_a_layer_applies_its_kernel_divided_by_that_value():
    pictures = np.random.RandomState(0).randn(2, 8, 8, 3).astype("float32")
    spectral = SpectralConv2D(4, 3, strides=2, padding="same")
    plain = keras.layers.Conv2D(4, 3, strides=2, padding="same")
    expected = spectral(pictures), plain(pictures)
    kernel, bias = spectral.get_weights()
    value = np.linalg.svd(kernel.reshape(-1, 4), compute_uv=False)[0]
    plain.set_weights([kernel / value, bias + 1])
    spectral.set_weights([kernel, bias + 1])
    np.testing.assert_allclose(spectral(pictures), plain(pictures), atol=1e-5)
    assert expected[0].shape == expected[1].shape


def test_all_that_a_layer_is_given_is_honored():
    given = {"strides": 1, "padding": "same", "dilation_rate": 2, "groups": 2, "activation": "relu"}
    pairs = (
        (SpectralConv2D(4, 3, **given), keras.layers.Conv2D(4, 3, **given), (2, 8, 8, 6)),
        (SpectralDense(4, "tanh"), keras.layers.Dense(4, "tanh"), (2, 8)),
    )
    for spectral, plain, shape in pairs:
        inputs = np.random.RandomState(0).randn(*shape).astype("float32")
        spectral(inputs), plain(inputs)
        kernel, bias = spectral.get_weights()
        value = np.linalg.svd(kernel.reshape(-1, 4), compute_uv=False)[0]
        spectral.set_weights([kernel, bias + 0.1])
        plain.set_weights([kernel / value, bias + 0.1])
        np.testing.assert_allclose(spectral(inputs), plain(inputs), atol=1e-5)


def test_a_spectral_d_opens_where_the_package_alone_is_imported(tmp_path):
    path = tmp_path / "discriminator.keras"
    build_discriminator(tiny(d_norm="spectral")).save(path)
    # TensorFlow looks for Keras before it imports it.
    code = "import sys, dcgan_tf; assert 'keras' not in sys.modules; import tensorflow, keras"
    code += f"; keras.saving.load_model({str(path)!r})"
    subprocess.run([sys.executable, "-c", code], cwd=REPO, check=True)


def test_a_spectral_d_changes_no_faster_than_its_picture():
    config = tiny(d_norm="spectral", init_stddev=1.0)
    network = build_discriminator(config)
    kinds = [type(layer) for layer in network.layers]
    assert SpectralConv2D in kinds and SpectralDense in kinds
    assert keras.layers.BatchNormalization not in kinds
    one, other = np.random.RandomState(0).uniform(-1, 1, (2, 16, 64, 64, 3)).astype("float32")
    apart = np.abs(network(one) - network(other)).ravel()
    # Each 4x4 convolution of stride 2 sees a pixel 4 times, so its norm is at most 2.
    most = 2 ** len(config.d_channels) * np.linalg.norm((one - other).reshape(16, -1), axis=1)
    assert (apart <= most).all()


@pytest.mark.slow
def test_a_spectral_d_trains_and_its_file_opens(tmp_path):
    model = build(tiny(d_norm="spectral"))
    fit(model)
    path = tmp_path / "discriminator.keras"
    model.discriminator.save(path)
    pictures = np.random.RandomState(0).rand(2, 64, 64, 3)
    again = keras.saving.load_model(path)
    np.testing.assert_array_equal(again(pictures), model.discriminator(pictures))
