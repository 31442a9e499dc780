"""Runs the command `python -m dcgan_tf.directions`."""

from dcgan_tf.directions.command import run

run()
