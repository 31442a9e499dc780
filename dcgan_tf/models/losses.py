"""The GAN losses as functions of logits.

NonSaturating: Goodfellow et al. 2014, section 3. Hinge: Lim and Ye 2017. Relativistic:
Jolicoeur-Martineau 2018, with the pairs of Huang et al. 2024 (R3GAN). BCE is the binary
cross-entropy, computed from logits, so that no probability is rounded to 0 or 1.

Examples:
    >>> import tensorflow as tf
    >>> from dcgan_tf import losses
    >>> round(float(losses.generator_loss(tf.zeros((4, 1)))), 3)  # ln 2
    0.693
"""

import dataclasses
from typing import Any

import keras
import tensorflow as tf

from dcgan_tf.common.errors import UserError
from dcgan_tf.models import noise
from dcgan_tf.models.serializable import Serializable


def discriminator_loss(
    real_logits: tf.Tensor,
    fake_logits: tf.Tensor,
    real_targets: tf.Tensor,
    fake_targets: tf.Tensor,
) -> tf.Tensor:
    """Mean of the BCE on real and on fake images, a scalar: ln 2 for a D that guesses.

    Logits are D's outputs, float (n, 1). Targets have the same shape and are in [0, 1]: 1 and 0
    without smoothing and noise.
    """
    return (_bce(real_targets, real_logits) + _bce(fake_targets, fake_logits)) / 2


def generator_loss(fake_logits: tf.Tensor) -> tf.Tensor:
    """-log D(G(z)), a scalar; unlike log(1 - D(G(z))), steep while D rejects every fake."""
    return _bce(tf.ones_like(fake_logits), fake_logits)


def _bce(targets: tf.Tensor, logits: tf.Tensor):
    return tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(targets, logits))


def mean_probabilities(real_logits: tf.Tensor, fake_logits: tf.Tensor) -> tuple[Any, ...]:
    """Two scalars: the means of D(x) over the real and of D(G(z)) over the fake images."""
    return tf.reduce_mean(tf.sigmoid(real_logits)), tf.reduce_mean(tf.sigmoid(fake_logits))


def check_loss(loss: Any) -> Any:
    """Return a loss, after a check that it is an object with both methods."""
    if isinstance(loss, type):
        raise UserError(f"give {loss.__name__}(), not the class", param="loss")
    if not all(callable(getattr(loss, name, None)) for name in ("discriminator", "generator")):
        methods = "discriminator(real_logits, fake_logits, rng) and generator(fake_logits)"
        got = f"got {type(loss).__name__}, expected an object with the methods {methods}"
        raise UserError(got, param="loss")
    return loss


def check_scalar(value: Any, part: Any, method: str = "__call__") -> Any:
    """Return `value`, which a method of `part` returned, after a check that it is a scalar."""
    shape = tf.TensorShape(getattr(value, "shape", ()))
    if value is None or shape.rank:  # an unknown rank may be 0
        name, got = type(part).__name__, "None" if value is None else f"shape {tuple(shape)}"
        raise UserError(f"{name}.{method} returned {got}, expected a scalar: use tf.reduce_mean")
    return value


def move_targets(
    logits: tf.Tensor, start: float, by: float, rng: noise.BatchRNG, stream: int
) -> tf.Tensor:
    """D's targets, (n, 1) in [0, 1]: `start` plus uniform label noise between 0 and `by`."""
    targets = tf.fill((tf.shape(logits)[0], 1), tf.constant(start, logits.dtype))
    if not by:
        return targets
    return tf.clip_by_value(targets + by * rng.uniform(stream, 1, logits.dtype), 0.0, 1.0)


@keras.saving.register_keras_serializable("dcgan_tf")
@dataclasses.dataclass(eq=False)
class NonSaturating(Serializable):
    """The losses of the DCGAN; label smoothing and label noise change D's targets.

    Your own loss is any object with these two methods. Optional attributes:

    - `pairs = True`: `generator` is called with (fake_logits, real_logits), to compare pairs.
    - `mean_probabilities(real_logits, fake_logits)`: d_real and d_fake; default: mean sigmoids.
    - `guessing`: the d_loss of a D that guesses, for the plot; default: ln 2.

    Args:
        label_smoothing: targets of real images are 1 minus this (one-sided, Salimans et al. 2016).
        label_noise: largest random shift, down for real targets and up for fake ones.

    Examples:
        >>> from dcgan_tf import DCGAN, Config, NonSaturating
        >>> model = DCGAN.from_config(Config(width=0.02), loss=NonSaturating(0.1))
        >>> model.loss_terms.label_smoothing
        0.1
    """

    label_smoothing: float = 0.0
    label_noise: float = 0.0

    def discriminator(
        self, real_logits: tf.Tensor, fake_logits: tf.Tensor, rng: noise.BatchRNG
    ) -> tf.Tensor:
        """D's loss, a scalar, from logits (n, 1) and the batch's random numbers."""
        start, away = 1.0 - self.label_smoothing, self.label_noise
        real = move_targets(real_logits, start, -away, rng, noise.REAL_TARGETS)
        fake = move_targets(fake_logits, 0.0, away, rng, noise.FAKE_TARGETS)
        return discriminator_loss(real_logits, fake_logits, real, fake)

    def generator(self, fake_logits: tf.Tensor) -> tf.Tensor:
        """G's loss, a scalar."""
        return generator_loss(fake_logits)


@keras.saving.register_keras_serializable("dcgan_tf")
@dataclasses.dataclass(eq=False)
class Hinge(Serializable):
    """D pushes real logits above 1 and fake ones below -1; G pushes fake logits up.

    d_loss is the mean of both parts, 1 for a D that guesses.

    Examples:
        >>> from dcgan_tf import DCGAN, Config
        >>> DCGAN.from_config(Config(width=0.02, loss="hinge")).loss_terms.guessing
        1.0
    """

    guessing = 1.0

    def discriminator(
        self, real_logits: tf.Tensor, fake_logits: tf.Tensor, rng: noise.BatchRNG
    ) -> tf.Tensor:
        """Scalar: (mean max(0, 1 - D(x)) + mean max(0, 1 + D(G(z)))) / 2."""
        real, fake = tf.nn.relu(1 - real_logits), tf.nn.relu(1 + fake_logits)
        return (tf.reduce_mean(real) + tf.reduce_mean(fake)) / 2

    def generator(self, fake_logits: tf.Tensor) -> tf.Tensor:
        """Scalar: mean -D(G(z))."""
        return -tf.reduce_mean(fake_logits)


@keras.saving.register_keras_serializable("dcgan_tf")
@dataclasses.dataclass(eq=False)
class Relativistic(Serializable):
    """D decides which image of a real and fake pair is real; G tries to fool it.

    Only differences of logits count. A G that repeats one image loses against all real images that
    differ from it, which preserves variety. Both losses are ln 2 for a D that guesses.

    Examples:
        >>> from dcgan_tf import DCGAN, Config
        >>> DCGAN.from_config(Config(width=0.02, loss="relativistic")).loss_terms.pairs
        True
    """

    pairs = True

    def discriminator(
        self, real_logits: tf.Tensor, fake_logits: tf.Tensor, rng: noise.BatchRNG
    ) -> tf.Tensor:
        """Scalar: mean softplus(-(D(x) - D(G(z)))) over the pairs."""
        return tf.reduce_mean(tf.nn.softplus(fake_logits - real_logits))

    def generator(self, fake_logits: tf.Tensor, real_logits: tf.Tensor) -> tf.Tensor:
        """Scalar: mean softplus(-(D(G(z)) - D(x))) over the pairs."""
        return tf.reduce_mean(tf.nn.softplus(real_logits - fake_logits))

    def mean_probabilities(self, real_logits: tf.Tensor, fake_logits: tf.Tensor) -> tuple[Any, ...]:
        """Two scalars: the mean probability of being real, for real and for fake images."""
        real = tf.reduce_mean(tf.sigmoid(real_logits - fake_logits))
        return real, 1 - real
