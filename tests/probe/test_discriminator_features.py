"""D's pooled features: of every convolution, the largest in each of 4x4 places."""

import keras
import numpy as np
import pytest
from helpers import refused
from tiny_gan import tiny

from dcgan_tf.common.labels import Labels
from dcgan_tf.models.networks import build_discriminator, build_generator
from dcgan_tf.probe.discriminator_features import features_of, pooled_features


@pytest.mark.parametrize("norm", ["batch", "none", "spectral"])
def test_features_are_those_of_the_activated_maps(norm):
    config = tiny(d_norm=norm, d_first_batchnorm=norm == "batch", d_minibatch_std=4)
    network = build_discriminator(config, labels=Labels(("a", "b"), True, (0, 0, 1, 0)))
    pixels = np.random.RandomState(0).randint(0, 256, (3, 64, 64, 3)).astype(np.uint8)
    found = features_of(pooled_features(network), pixels, "tanh")
    parts = []
    for number in (1, 2):
        layer = network.get_layer(f"down{number}_leaky_relu")
        maps = np.asarray(keras.Model(network.input, layer.output)(pixels / 127.5 - 1))
        count, side, _, channels = maps.shape
        cells = maps.reshape(count, 4, side // 4, 4, side // 4, channels)
        parts.append(cells.max(axis=(2, 4)).reshape(count, -1))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, np.concatenate(parts, axis=1), rtol=1e-4, atol=1e-5)


def test_sides_that_4_does_not_divide_and_what_is_no_discriminator():
    network = build_discriminator(tiny("mnist"))  # maps of 14 and 7 pixels
    channels = [network.get_layer(f"down{k}_leaky_relu").output.shape[-1] for k in (1, 2)]
    assert pooled_features(network).output.shape[-1] == 16 * sum(channels)
    with refused("expected a discriminator"):
        pooled_features(build_generator(tiny()))
    images = keras.Input((8, 8, 3))
    dense = keras.Model(images, keras.layers.Dense(1)(keras.layers.Flatten()(images)))
    with refused("no convolution"):
        pooled_features(dense)
