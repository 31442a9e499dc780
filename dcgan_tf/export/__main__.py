"""Runs the command `python -m dcgan_tf.export`."""

from dcgan_tf.export.command import run

run()
