"""Discriminator features: pooled maps of its convolutions (Radford et al. 2015, section 5)."""

import keras
import numpy as np

from dcgan_tf.common.errors import UserError
from dcgan_tf.models.pixels import to_float
from dcgan_tf.models.sampling import compiled, in_batches

GRID = 4  # side that each map is pooled to
_BATCH = 128


def pooled_features(discriminator: keras.Model) -> keras.Model:
    """D's maps after each convolution, max-pooled to at most 4x4, flattened and joined.

    Args:
        discriminator: keras.Model from pictures (n, height, width, channels).

    Returns:
        keras.Model: the same pictures to float (n, features): 16 of each channel; fewer of maps
        smaller than the grid, which stay as they are, and of some whose side 4 does not divide.

    Raises:
        UserError: it takes no pictures, or has no convolution.
    """
    maps = [keras.layers.Flatten()(_pooled(each)) for each in _activated(discriminator)]
    joined = keras.layers.Concatenate()(maps) if len(maps) > 1 else maps[0]
    return keras.Model(discriminator.input, joined)


def _activated(network):
    """The output after each convolution's normalisation and activation: before the next layer
    that has a kernel, flattens or ends the network."""
    shapes = [len(tensor.shape) for tensor in network.inputs]
    convolutions = [each for each in network.layers if isinstance(each, keras.layers.Conv2D)]
    if shapes != [4] or not convolutions:
        raise UserError("takes no pictures, or has no convolution; expected a discriminator")
    found, current = [], None
    for layer in network.layers:
        if hasattr(layer, "kernel") or isinstance(layer, keras.layers.Flatten):
            if current is not None:
                found.append(current)
            current = None
        begins = isinstance(layer, keras.layers.Conv2D)
        if begins or (current is not None and len(layer.output.shape) == 4):
            current = layer.output
    return found + ([current] if current is not None else [])


def _pooled(maps):
    height, width = maps.shape[1:3]
    pool = max(height // GRID, 1), max(width // GRID, 1)
    if height > GRID * pool[0] or width > GRID * pool[1]:
        pool = -(-height // GRID), -(-width // GRID)
        return keras.layers.MaxPooling2D(pool, padding="same")(maps)
    return keras.layers.MaxPooling2D(pool)(maps) if max(pool) > 1 else maps


def features_of(network: keras.Model, pixels: np.ndarray, activation: str) -> np.ndarray:
    """Features of pictures, in inference mode.

    Args:
        network: as `pooled_features` gives; pixels: uint8 (n, height, width, channels);
            activation: "sigmoid" or "tanh", the range that D was trained on (models.pixels).

    Returns:
        float32 (n, features).
    """
    forward = compiled(network)
    parts = in_batches(lambda part: forward(to_float(part, activation)), pixels, _BATCH)
    return np.concatenate(list(parts))
