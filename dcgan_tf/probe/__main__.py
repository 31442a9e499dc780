"""Runs the command `python -m dcgan_tf.probe`."""

from dcgan_tf.probe.command import run

run()
