"""The non-saturating GAN losses as functions of logits (Goodfellow et al. 2014, section 3).

With sigma the sigmoid and BCE(t, x) = -t log sigma(x) - (1 - t) log(1 - sigma(x)), computed from
logits, so that no probability is ever rounded to 0 or 1.
"""

import tensorflow as tf


def discriminator_loss(real_logits, fake_logits, real_targets, fake_targets):
    """Mean of BCE on reals and BCE on fakes: ln 2 where D knows nothing.

    Args:
        real_logits, fake_logits: float (n, 1), D's answers.
        real_targets, fake_targets: the same shape, in [0, 1]; 1 and 0 without smoothing and noise.

    Returns:
        Scalar tensor.
    """
    return (_bce(real_targets, real_logits) + _bce(fake_targets, fake_logits)) / 2


def generator_loss(fake_logits):
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
