"""The optimizers of G and D: Adam for both, as in Radford et al. 2015.

The two networks chase each other, so the gradients of each change their direction all the time. A
momentum (beta_1) of 0.5 instead of Adam's usual 0.9 forgets fast enough to follow; with 0.9 D won
outright in our trials and G made noise. Each network has a learning rate and moments of its own.
"""

import keras

from dcgan_tf.common.config import Config


def build_optimizer(config: Config, learning_rate: float) -> keras.optimizers.Optimizer:
    """Adam with the betas of `config`, in half precision with a loss scale."""
    adam = keras.optimizers.Adam(float(learning_rate), config.beta_1, config.beta_2)
    if config.precision == "mixed_float16":  # small gradients would vanish in half precision
        return keras.optimizers.LossScaleOptimizer(adam)
    return adam
