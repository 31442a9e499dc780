"""Attribute classifier: a small network trained on labeled images."""

from collections.abc import Callable

import keras
import numpy as np

from dcgan_tf.models.sampling import compiled, in_batches

STEPS = 1200  # 8 passes over 10,000 images: twice as many were no better on others
BATCH = 64
RATE, DECAY, DROPOUT = 2e-3, 1e-3, 0.3
_AT_ONCE = 256  # images that are scored together


class AttributeClassifier:
    """Predict binary attributes of images.

    Args:
        side, channels: of the images.
        attributes: how many there are.
        seed: of the weights and the order of the images.
    """

    def __init__(self, side: int, channels: int, attributes: int, seed: int):
        self._seed = seed
        self._model = _network(side, channels, attributes, seed)
        self._forward = compiled(self._model)

    def train(self, pixels: np.ndarray, labels: np.ndarray, after_step: Callable, steps: int):
        """Train on images and their mirror images.

        Args:
            pixels: uint8 (n, side, side, channels).
            labels: int8 (n, attributes), 1 or 0.
            after_step: called after each of the `steps`.
        """
        rates = keras.optimizers.schedules.CosineDecay(RATE, steps)
        optimizer = keras.optimizers.AdamW(rates, weight_decay=DECAY)  # pyright: ignore
        loss = keras.losses.BinaryCrossentropy(from_logits=True)
        self._model.compile(optimizer, loss, jit_compile=False)  # pyright: ignore
        batches = _batches(pixels, labels, np.random.RandomState(self._seed))
        for _ in range(steps):
            self._model.train_on_batch(*next(batches))
            after_step()

    def scores(self, pixels: np.ndarray) -> np.ndarray:
        """float32 (n, attributes): logits of uint8 images, above 0 for those that have it."""
        return np.concatenate(list(in_batches(self._forward, pixels, _AT_ONCE)))


def _network(side, channels, attributes, seed):
    """Strided convolutions down to 4 pixels, then one matrix."""
    images = keras.Input((side, side, channels))
    x, width = keras.layers.Rescaling(1 / 127.5, -1)(images), 32
    while x.shape[1] > 4:
        x = keras.layers.Conv2D(
            *(width, 3, 2, "same"),
            use_bias=False,
            kernel_initializer=keras.initializers.HeNormal(seed=seed + x.shape[1]),  # pyright: ignore
        )(x)
        x = keras.layers.ReLU()(keras.layers.BatchNormalization(momentum=0.9)(x))
        width = min(2 * width, 128)
    x = keras.layers.Dropout(DROPOUT, seed=seed)(keras.layers.Flatten()(x))
    glorot = keras.initializers.GlorotUniform(seed=seed)
    logits = keras.layers.Dense(attributes, kernel_initializer=glorot)(x)  # pyright: ignore
    return keras.Model(images, logits)


def _batches(pixels, labels, random):
    """Yield batches without end, half of the images mirrored, each once before any comes again."""
    size = min(BATCH, len(pixels))
    while True:
        order = random.permutation(len(pixels))
        for start in range(0, len(order) - size + 1, size):
            rows = order[start : start + size]
            images, mirrored = pixels[rows], random.rand(size) < 0.5
            images[mirrored] = images[mirrored, :, ::-1]
            yield images.astype(np.float32), labels[rows].astype(np.float32)
