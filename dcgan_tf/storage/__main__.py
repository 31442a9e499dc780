"""Runs the command `python -m dcgan_tf.storage`."""

from dcgan_tf.storage.command import run

run()
