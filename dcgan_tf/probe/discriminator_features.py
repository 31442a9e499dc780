"""Discriminator features: pooled maps of its convolutions (Radford et al. 2015, section 5)."""

import keras
import numpy as np

from dcgan_tf.common.errors import UserError
from dcgan_tf.models.networks import MinibatchStd
from dcgan_tf.models.pixels import to_float
from dcgan_tf.models.sampling import compiled, in_batches

GRID = 4  # side of the pooled maps
_BATCH = 128


def pooled_features(discriminator: keras.Model, flag: str = "") -> keras.Model:
    """Max-pool D's maps after each convolution to at most 4x4, flatten and join them.

    Returns:
        A network from the same images to float (n, features): 16 per channel, or fewer for maps
        smaller than 4x4, which are not pooled, and for some sides that 4 does not divide.
    """
    shapes = [tuple(tensor.shape) for tensor in discriminator.inputs or ()]
    maps = [keras.layers.Flatten()(_pool(each)) for each in _activated(discriminator)]
    if not maps or [len(shape) for shape in shapes] != [4] or shapes[0][1] != shapes[0][2]:
        words = f"takes {shapes}, or has no convolution; expected a discriminator of square images"
        raise UserError(words, flag=flag)
    joined = keras.layers.Concatenate()(maps) if len(maps) > 1 else maps[0]
    return keras.Model(discriminator.input, joined)


def _activated(network):
    """Each convolution's output after its normalization and activation, before the next layer."""
    found, current = [], None
    for layer in [*network.layers, keras.layers.Flatten()]:
        # The output of MinibatchStd depends on the other images.
        if hasattr(layer, "kernel") or isinstance(layer, (keras.layers.Flatten, MinibatchStd)):
            if current is not None:
                found.append(current)
            current = layer.output if isinstance(layer, keras.layers.Conv2D) else None
        elif current is not None and len(layer.output.shape) == 4:
            current = layer.output
    return found


def _pool(maps):
    pool = tuple(-(-side // GRID) for side in maps.shape[1:3])
    return keras.layers.MaxPooling2D(pool, padding="same")(maps) if max(pool) > 1 else maps


def features_of(network: keras.Model, pixels: np.ndarray, activation: str) -> np.ndarray:
    """Compute float32 (n, features) of uint8 images with a network from `pooled_features`.

    Args:
        activation: "sigmoid" or "tanh", the range that D was trained on (models.pixels).
    """
    forward = compiled(network)

    def compute(part):
        return forward(to_float(part, activation))

    return np.concatenate(list(in_batches(compute, pixels, _BATCH)))
