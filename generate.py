"""Generate pictures with a trained generator: `python generate.py --n 64`."""

from dcgan_tf.generate.__main__ import main, run

__all__ = ["main"]

if __name__ == "__main__":
    run()
