"""Gradient penalties R1 and R2 on D.

R1 (Mescheder et al. 2018, section 4.1) keeps D flat around real images, R2 around generated ones:

    r1 / 2 * mean |grad D(x)|^2  +  r2 / 2 * mean |grad D(G(z))|^2

where the squares are summed over the values of an image in [-1, 1]. D must not use BatchNorm, which
makes its output for one image depend on the others in the batch.
"""

import dataclasses

import keras
import tensorflow as tf

from dcgan_tf.models import noise
from dcgan_tf.models.schedules import falling
from dcgan_tf.models.serializable import Serializable


@keras.saving.register_keras_serializable("dcgan_tf")
@dataclasses.dataclass(eq=False)
class GradientPenalty(Serializable):
    """Both penalties, exact in every step, with weights that may decay.

    Args:
        r1, r2: weights (gamma in the papers) for images in [-1, 1].
        activation: G's last activation. With "sigmoid", images are in [0, 1] and gradients twice as
            large; the penalty is rescaled to images in [-1, 1].
        end: final weights as a fraction of the initial ones.
        images: images over which the weights decay exponentially to `end`; 0: constant weights.

    Examples:
        >>> from dcgan_tf import DCGAN, Config, GradientPenalty
        >>> config = Config(width=0.02, d_norm="none")
        >>> model = DCGAN.from_config(config, penalty=GradientPenalty(1, 0, "sigmoid"))
        >>> model.penalty.r1
        1
    """

    r1: float
    r2: float
    activation: str = "tanh"
    end: float = 1.0
    images: int = 0

    def __call__(
        self, real_gradients: tf.Tensor, fake_gradients: tf.Tensor, rng: noise.BatchRNG
    ) -> tf.Tensor:
        """Scalar to add to D's loss, from the gradients of the logits by the images."""
        if not (self.r1 or self.r2):
            return tf.zeros((), real_gradients.dtype)
        pairs = (self.r1, real_gradients), (self.r2, fake_gradients)
        total = tf.add_n([gamma / 2 * mean_square(each) for gamma, each in pairs if gamma])
        weight = falling("exponential", rng.images_seen, self.images, self.end)
        return tf.cast(weight, total.dtype) * total / (4 if self.activation == "sigmoid" else 1)


def mean_square(gradients: tf.Tensor) -> tf.Tensor:
    """Mean squared norm of the gradients, (n, height, width, channels), over the n images."""
    return tf.reduce_mean(tf.reduce_sum(tf.square(gradients), axis=(1, 2, 3)))
