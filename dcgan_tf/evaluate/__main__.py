"""`python -m dcgan_tf.evaluate`."""

from dcgan_tf.common.errors import leave, run_command
from dcgan_tf.evaluate.command import main

leave(run_command(main))
