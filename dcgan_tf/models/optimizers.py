"""The optimizers of G and D: Adam for both, as in Radford et al. 2015.

The gradients of each network change with the other network. A momentum (beta_1) of 0.5 instead of
Adam's usual 0.9 follows fast enough; with 0.9 D won outright in our trials and G made noise.
"""

import dataclasses
from typing import Any

import keras
import tensorflow as tf

from dcgan_tf.common.config import Config
from dcgan_tf.models.schedules import falling
from dcgan_tf.models.serializable import Serializable


@keras.saving.register_keras_serializable("dcgan_tf")
class Adam(keras.optimizers.Adam):
    """Keras' Adam with one TensorFlow operation for each weight instead of some twenty."""

    def _backend_update_step(
        self, grads: list[Any], trainable_variables: list[Any], learning_rate: Any
    ):
        # Computed once for all weights: some two hundred operations fewer in a step.
        dtype = trainable_variables[0].dtype
        steps = tf.cast(self.iterations + 1, dtype)  # pyright: ignore
        shared = {"lr": tf.cast(learning_rate, dtype)}
        for name, beta in (("beta1", self.beta_1), ("beta2", self.beta_2)):
            shared[name] = tf.constant(beta, dtype)
            shared[f"{name}_power"] = shared[name] ** steps
        shared["epsilon"] = tf.constant(self.epsilon, dtype)
        super()._backend_update_step(grads, trainable_variables, shared)

    def update_step(self, gradient: Any, variable: Any, shared: dict[str, Any]) -> None:
        """Update `variable` and its two moments with the numbers that all weights share."""
        index = self._get_variable_index(variable)
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=self._momentums[index].value.handle,
            v=self._velocities[index].value.handle,
            grad=tf.cast(gradient, variable.dtype),
            **{name: tf.cast(value, variable.dtype) for name, value in shared.items()},
        )


class Pair:
    """G's and D's optimizers, in the form that Keras' callbacks and `summary` expect.

    Args:
        g_optimizer, d_optimizer: keras.optimizers.Optimizer, or its name.
        scaled: scale the losses, because small gradients vanish in half precision.
    """

    def __init__(self, g_optimizer: Any, d_optimizer: Any, scaled: bool):
        pair = [keras.optimizers.get(each) for each in (g_optimizer, d_optimizer)]
        if pair[0] is pair[1]:
            raise ValueError("g_optimizer is d_optimizer; give each an optimizer of its own")
        with_scale = keras.optimizers.LossScaleOptimizer
        if scaled:
            pair = [each if isinstance(each, with_scale) else with_scale(each) for each in pair]
        for each, name in zip(pair, ("generator", "discriminator"), strict=True):
            each.name = name  # callbacks log the rates by it  # pyright: ignore
        self.optimizers: list[Any] = pair

    @property
    def built(self) -> bool:
        return all(each.built for each in self.optimizers)

    @property
    def variables(self) -> list[Any]:
        return [variable for each in self.optimizers for variable in each.variables]


def learning_rate_of(config: Config, learning_rate: float) -> "float | Falling":
    """Return the rate, or with `lr_decay` its schedule over the steps."""
    if config.lr_decay == "none":
        return float(learning_rate)
    steps = config.decay_images / config.batch_size
    return Falling(float(learning_rate), config.lr_decay, steps, config.lr_end)


@keras.saving.register_keras_serializable("dcgan_tf")
@dataclasses.dataclass(eq=False)
class Falling(Serializable, keras.optimizers.schedules.LearningRateSchedule):
    """A learning rate that falls by a `course` of schedules.falling over `steps`.

    `end` is the final learning rate as a fraction of the initial one.
    """

    learning_rate: float
    course: str
    steps: float
    end: float

    def __call__(self, step: Any):
        return self.learning_rate * falling(self.course, step, self.steps, self.end)
