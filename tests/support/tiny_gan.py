"""A small DCGAN on random images, for tests of the model and its files."""

import keras
import numpy as np
from helpers import SMALL_AT_64

from dcgan_tf.common.config import Config, merge_settings
from dcgan_tf.data.pipeline import batches
from dcgan_tf.models.gan import DCGAN
from dcgan_tf.models.networks import build_discriminator, build_generator
from dcgan_tf.train.command import parse_training

BATCH = 8
PIXELS = np.random.RandomState(0).randint(0, 256, (40, 64, 64, 3), dtype=np.uint8)


def tiny(name="celeba", **changes):
    """A small resolved config; that of faces has two layers a network besides the last."""
    four = (*SMALL_AT_64, "--base-size", "8")  # with the layer that makes the image
    size = {"mnist": (), "cifar10": (), "radford": four, "ttur": four}
    small = size.get(name.removesuffix("-labels"), SMALL_AT_64)
    flags = ["--config", name, "--width", "0.05", *small]
    return Config(**merge_settings(vars(parse_training(flags).config), changes))


def build(config, optimizer=keras.optimizers.SGD, **kwargs):
    model = DCGAN(
        build_generator(config),
        build_discriminator(config),
        batch_size=BATCH,
        **kwargs,
    )
    model.compile(optimizer(0.05), optimizer(0.1))
    return model


def fit(model, steps=2):
    data = batches(PIXELS, batch_size=BATCH, seed=0)
    return model.fit(data, steps_per_epoch=steps, verbose=0, shuffle=False).history
