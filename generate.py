"""Generate images with a trained generator: `python generate.py --n 64`."""

from dcgan_tf.common.cli import run
from dcgan_tf.generate.__main__ import main

if __name__ == "__main__":
    run(main)
