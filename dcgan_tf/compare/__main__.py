"""Runs the command `python -m dcgan_tf.compare`."""

from dcgan_tf.compare.command import run

run()
