"""Gradient penalties R1 and R2 on D.

R1 (Mescheder et al. 2018, section 4.1) keeps D flat around real pictures, R2 around made ones:

    r1 / 2 * mean |grad D(x)|^2  +  r2 / 2 * mean |grad D(G(z))|^2

the squares summed over the numbers of a picture in [-1, 1]. D must treat each picture for itself: a
BatchNorm would put the other pictures of the batch into the gradient.
"""

import keras
import tensorflow as tf

from dcgan_tf.models import noise
from dcgan_tf.models.schedules import falling


@keras.saving.register_keras_serializable("dcgan_tf")
class GradientPenalty:
    """Both penalties, exact and in every step, with weights that may fall.

    Args:
        r1, r2: weights, the gamma of the literature, for pictures in [-1, 1].
        activation: G's last one. For "sigmoid" pictures are in [0, 1], so a slope is twice that of
            the same D in [-1, 1]; it is counted as if they were in [-1, 1].
        end: the share of the weights that is left in the end.
        images: seen until then, falling exponentially; 0 leaves the weights as they are.

    Example:

    >>> from dcgan_tf import DCGAN, Config, GradientPenalty
    >>> config = Config(width=0.02, d_norm="none")
    >>> model = DCGAN.from_config(config, penalty=GradientPenalty(1, 0, "sigmoid"))
    >>> model.penalty.r1
    1
    """

    def __init__(
        self,
        r1: float,
        r2: float,
        activation: str = "tanh",
        end: float = 1.0,
        images: int = 0,
    ):
        self.r1, self.r2 = r1, r2
        self.activation, self.end, self.images = activation, end, images

    def __call__(
        self, real_slopes: tf.Tensor, fake_slopes: tf.Tensor, draws: noise.Draws
    ) -> tf.Tensor:
        """Scalar, added to D's loss.

        Args:
            real_slopes, fake_slopes: float (n, height, width, channels), the gradient of each
                picture's logit by its pixels.
            draws: of the batch, which tells how many images were seen.
        """
        penalties = [
            gamma / 2 * mean_square(slopes)
            for gamma, slopes in ((self.r1, real_slopes), (self.r2, fake_slopes))
            if gamma
        ]
        in_range = 4 if self.activation == "sigmoid" else 1
        weight = falling("exponential", draws.images_seen, self.images, self.end)
        total = tf.add_n(penalties)
        return tf.cast(weight, total.dtype) * total / in_range

    def get_config(self) -> dict:
        names = ("r1", "r2", "activation", "end", "images")
        return {name: getattr(self, name) for name in names}

    @classmethod
    def from_config(cls, config: dict):
        return cls(**config)


def mean_square(slopes: tf.Tensor) -> tf.Tensor:
    """Scalar: the mean over pictures of the squared length of their gradient, in its dtype."""
    return tf.reduce_mean(tf.reduce_sum(tf.square(slopes), axis=(1, 2, 3)))
