"""The mean of a loss over an epoch, on any number of devices."""

import keras
import tensorflow as tf


class EpochMean(keras.metrics.Metric):
    """Mean over the steps of an epoch of a value that is the same on all devices.

    Keras' own Mean keeps a share of its sum on each device. Reading it is then a collective
    operation, which one worker cannot do alone, and spreading a restored sum over three devices
    rounds it; this one is a single number everywhere.
    """

    def __init__(self, name):
        super().__init__(name=name)
        options = {"trainable": False, "aggregation": "only_first_replica"}
        self.total = keras.Variable("zeros", (), self.dtype, name="total", **options)
        self.count = keras.Variable("zeros", (), self.dtype, name="count", **options)

    def update_state(self, value):
        self.total.assign_add(tf.cast(value, self.dtype))
        self.count.assign_add(1)

    def result(self):
        return keras.ops.divide_no_nan(self.total, self.count)
