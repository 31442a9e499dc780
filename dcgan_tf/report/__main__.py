"""Runs the command `python -m dcgan_tf.report`."""

from dcgan_tf.report.command import run

run()
