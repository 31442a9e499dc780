"""Imports and caches that the server of programs.py prepares before it forks."""

import io

import matplotlib.figure
import numpy.random  # noqa: F401
import PIL.Image

from dcgan_tf.common.start_tensorflow import start_tensorflow

start_tensorflow()

import tensorboard.plugins.hparams.api  # noqa: E402, F401

import dcgan_tf.evaluate.evaluation  # noqa: E402
import dcgan_tf.generate.generation  # noqa: E402
import dcgan_tf.train.training  # noqa: E402, F401

# What a training would import and look up at its first picture and its first plot.
PIL.Image.init()
drawn = matplotlib.figure.Figure(layout="constrained")
drawn.subplots().set_title("fonts")
drawn.savefig(io.BytesIO())
