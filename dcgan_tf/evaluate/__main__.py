"""`python -m dcgan_tf.evaluate`."""

from dcgan_tf.evaluate.command import run

run()
