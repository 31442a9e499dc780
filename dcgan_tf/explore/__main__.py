"""Runs the command `python -m dcgan_tf.explore`."""

from dcgan_tf.explore.command import run

run()
