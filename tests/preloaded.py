"""What the server of programs.py imports before it forks."""

import matplotlib.pyplot  # noqa: F401

from dcgan_tf.common.start_tensorflow import start_tensorflow

start_tensorflow()

import dcgan_tf.evaluate.evaluation  # noqa: E402
import dcgan_tf.generate.generation  # noqa: E402
import dcgan_tf.train.training  # noqa: E402, F401
