"""Train a DCGAN: `python train.py --epochs 200 --subset 2000`."""

from dcgan_tf.common.cli import run
from dcgan_tf.train.__main__ import main

if __name__ == "__main__":
    run(main)
