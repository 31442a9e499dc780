"""Generate pictures with a trained generator: `python generate.py --n 64`."""

import sys

from dcgan_tf.errors import run_command
from dcgan_tf.generation import generate, parse_generation


def main(argv=None):
    args = parse_generation(argv)
    from dcgan_tf.quiet import import_tensorflow

    import_tensorflow()
    generate(args)


if __name__ == "__main__":
    sys.exit(run_command(main))
