"""The non-saturating GAN losses as functions of logits (Goodfellow et al. 2014, section 3).

With sigma the sigmoid and BCE(t, x) = -t log sigma(x) - (1 - t) log(1 - sigma(x)), computed from
logits, so that no probability is ever rounded to 0 or 1.
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

    A loss of your own is any object with these two methods.

    Args:
        label_smoothing, label_noise: as in label_smoothing.py.
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
