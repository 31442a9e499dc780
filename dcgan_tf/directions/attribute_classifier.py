"""Attribute classifier: a small network trained on labeled images."""

from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from dcgan_tf.models.sampling import compiled, in_batches

STEPS = 1200  # 8 passes over 10,000 pictures: twice as many were no better on others
BATCH = 64
RATE, DECAY, DROPOUT = 2e-3, 1e-3, 0.3
_AT_ONCE = 256  # pictures that are scored together


class AttributeClassifier:
    """Scores of attributes.

    Args:
        side, channels: of the pictures; attributes: how many; seed: of weights and order.
    """

    def __init__(self, side: int, channels: int, attributes: int, seed: int):
        self._seed = seed
        self._model = _network(side, channels, attributes, seed)
        self._forward = compiled(self._model)

    def learn(self, pixels: np.ndarray, labels: np.ndarray, told: Callable, steps: int = STEPS):
        """Train on pictures and their mirror images.

        Args:
            pixels: uint8 (n, side, side, channels); labels: int8 (n, attributes), 1 or 0; told:
                called after each step; steps: of at most BATCH pictures.
        """
        rates = keras.optimizers.schedules.CosineDecay(RATE, steps)
        optimizer = keras.optimizers.AdamW(rates, weight_decay=DECAY)
        variables = self._model.trainable_variables

        @tf.function(reduce_retracing=True, autograph=False)
        def step(pictures, wanted):
            with tf.GradientTape() as tape:
                logits = self._model(pictures, training=True)
                loss = tf.nn.sigmoid_cross_entropy_with_logits(wanted, logits)
                loss = tf.reduce_mean(loss)
            optimizer.apply(tape.gradient(loss, variables), variables)

        random = np.random.RandomState(self._seed)
        for rows in _batches(len(pixels), steps, random):
            pictures = pixels[rows]
            mirrored = random.rand(len(rows)) < 0.5
            pictures[mirrored] = pictures[mirrored, :, ::-1]
            step(tf.constant(pictures, tf.float32), tf.constant(labels[rows], tf.float32))
            told()

    def scores(self, pixels: np.ndarray) -> np.ndarray:
        """float32 (n, attributes): logits of uint8 pictures, above 0 for those that have it."""
        return np.concatenate(list(in_batches(self._forward, pixels, _AT_ONCE)))


def _network(side, channels, attributes, seed):
    """Strided convolutions down to 4 pixels, then one matrix."""
    pictures = keras.Input((side, side, channels))
    x, width = keras.layers.Rescaling(1 / 127.5, -1)(pictures), 32
    while x.shape[1] > 4:
        normal = keras.initializers.HeNormal(seed=seed + x.shape[1])
        x = keras.layers.Conv2D(width, 3, 2, "same", use_bias=False, kernel_initializer=normal)(x)
        x = keras.layers.ReLU()(keras.layers.BatchNormalization(momentum=0.9)(x))
        width = min(2 * width, 128)
    x = keras.layers.Dropout(DROPOUT, seed=seed)(keras.layers.Flatten()(x))
    glorot = keras.initializers.GlorotUniform(seed=seed)
    return keras.Model(pictures, keras.layers.Dense(attributes, kernel_initializer=glorot)(x))


def _batches(count, steps, random):
    """Yield int (BATCH,) rows, each picture once before any comes again."""
    size, left = min(BATCH, count), np.empty(0, int)
    for _ in range(steps):
        if len(left) < size:
            left = random.permutation(count)
        rows, left = left[:size], left[size:]
        yield rows
