"""The GAN losses as functions of logits.

NonSaturating is that of Goodfellow et al. 2014, section 3, Hinge that of Lim and Ye 2017, and
Relativistic that of Jolicoeur-Martineau 2018 with the pairs of Huang et al. 2024 (R3GAN).

With sigma the sigmoid and BCE(t, x) = -t log sigma(x) - (1 - t) log(1 - sigma(x)), computed from
logits, so that no probability is ever rounded to 0 or 1.

Example:

>>> import tensorflow as tf
>>> from dcgan_tf import losses
>>> round(float(losses.generator_loss(tf.zeros((4, 1)))), 3)  # ln 2
0.693
"""

import keras
import tensorflow as tf

from dcgan_tf.models import noise
from dcgan_tf.models.label_smoothing import fake_targets, real_targets


def discriminator_loss(
    real_logits: tf.Tensor,
    fake_logits: tf.Tensor,
    real_targets: tf.Tensor,
    fake_targets: tf.Tensor,
) -> tf.Tensor:
    """Mean of BCE on reals and BCE on fakes: ln 2 where D knows nothing.

    Args:
        real_logits, fake_logits: float (n, 1), D's answers.
        real_targets, fake_targets: the same shape, in [0, 1]; 1 and 0 without smoothing and noise.

    Returns:
        Scalar tensor.
    """
    return (_bce(real_targets, real_logits) + _bce(fake_targets, fake_logits)) / 2


def generator_loss(fake_logits: tf.Tensor) -> tf.Tensor:
    """BCE of the fakes against "real", -log D(G(z)): unlike log(1 - D(G(z))) it still has a
    gradient when D is sure.

    Args:
        fake_logits: float (n, 1).

    Returns:
        Scalar tensor.
    """
    return _bce(tf.ones_like(fake_logits), fake_logits)


def _bce(targets, logits):
    return tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(targets, logits))


@keras.saving.register_keras_serializable("dcgan_tf")
class NonSaturating:
    """Both losses as DCGAN wants them; label smoothing and label noise act on D's targets.

    A loss of your own is any object with these two methods. One that has `pairs = True` compares
    each fake with a real picture: its `generator` is called with (fake_logits, real_logits). One
    that has `beliefs(real_logits, fake_logits)` says what D believes of both. `guessing` is the
    d_loss of a D that only guesses, for the plot: ln 2 where a loss does not say.

    Args:
        label_smoothing, label_noise: as in label_smoothing.py.

    Example:

    >>> from dcgan_tf import DCGAN, Config, NonSaturating
    >>> DCGAN.from_config(Config(width=0.02), loss=NonSaturating(0.1)).loss_terms.label_smoothing
    0.1
    """

    def __init__(self, label_smoothing: float = 0.0, label_noise: float = 0.0):
        self.label_smoothing = label_smoothing
        self.label_noise = label_noise

    def discriminator(self, real_logits, fake_logits, draws: noise.Draws) -> tf.Tensor:
        """Scalar: what D minimises, from logits (n, 1) and the batch's random numbers."""
        real = real_targets(real_logits, draws, self.label_smoothing, self.label_noise)
        fake = fake_targets(fake_logits, draws, self.label_noise)
        return discriminator_loss(real_logits, fake_logits, real, fake)

    def generator(self, fake_logits: tf.Tensor) -> tf.Tensor:
        """Scalar: what G minimises."""
        return generator_loss(fake_logits)

    def get_config(self) -> dict:
        return {"label_smoothing": self.label_smoothing, "label_noise": self.label_noise}

    @classmethod
    def from_config(cls, config: dict):
        return cls(**config)


@keras.saving.register_keras_serializable("dcgan_tf")
class Hinge:
    """D wants reals above 1 and fakes below -1 and cares no further; G pushes its logits up.

    d_loss is the mean of both parts, so a D that only guesses has 1.

    Example:

    >>> from dcgan_tf import DCGAN, Config
    >>> DCGAN.from_config(Config(width=0.02, loss="hinge")).loss_terms.guessing
    1.0
    """

    guessing = 1.0

    def discriminator(self, real_logits, fake_logits, draws: noise.Draws) -> tf.Tensor:
        """Scalar: (mean max(0, 1 - D(x)) + mean max(0, 1 + D(G(z)))) / 2."""
        parts = tf.nn.relu(1 - real_logits), tf.nn.relu(1 + fake_logits)
        return sum(tf.reduce_mean(part) for part in parts) / 2

    def generator(self, fake_logits: tf.Tensor) -> tf.Tensor:
        """Scalar: mean -D(G(z))."""
        return -tf.reduce_mean(fake_logits)

    def get_config(self) -> dict:
        return {}

    @classmethod
    def from_config(cls, config: dict):
        return cls()


@keras.saving.register_keras_serializable("dcgan_tf")
class Relativistic:
    """D says of each pair of a real and a fake which is the real one; G wants it to be wrong.

    Only differences of logits count, so D cannot win by calling everything real, and a G that
    makes the same picture again and again loses against all real ones that differ (the reason why
    it keeps variety). Both losses are ln 2 where D only guesses.

    Example:

    >>> from dcgan_tf import DCGAN, Config
    >>> DCGAN.from_config(Config(width=0.02, loss="relativistic")).loss_terms.pairs
    True
    """

    pairs = True

    def discriminator(self, real_logits, fake_logits, draws: noise.Draws) -> tf.Tensor:
        """Scalar: mean softplus(-(D(x) - D(G(z)))) over the pairs."""
        return tf.reduce_mean(tf.nn.softplus(fake_logits - real_logits))

    def generator(self, fake_logits: tf.Tensor, real_logits: tf.Tensor) -> tf.Tensor:
        """Scalar: mean softplus(-(D(G(z)) - D(x))) over the pairs."""
        return tf.reduce_mean(tf.nn.softplus(real_logits - fake_logits))

    def beliefs(self, real_logits: tf.Tensor, fake_logits: tf.Tensor) -> tuple:
        """Two scalars: the mean probability that D gives the real and the fake of a pair."""
        real = tf.reduce_mean(tf.sigmoid(real_logits - fake_logits))
        return real, 1 - real

    def get_config(self) -> dict:
        return {}

    @classmethod
    def from_config(cls, config: dict):
        return cls()
