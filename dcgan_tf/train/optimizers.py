"""The optimizers of G and D."""

import keras


def adam_for(config, learning_rate):
    adam = keras.optimizers.Adam(learning_rate, config.beta_1, config.beta_2)
    if config.precision == "mixed_float16":  # small gradients would vanish in half precision
        return keras.optimizers.LossScaleOptimizer(adam)
    return adam
