"""Generate pictures with a trained generator: `python generate.py --n 64`."""

from dcgan_tf.common.errors import leave, run_command
from dcgan_tf.generate.command import parse_generation


def main(argv=None):
    args = parse_generation(argv)  # mistakes are refused before the seconds that TensorFlow takes
    from dcgan_tf.common.start_tensorflow import import_tensorflow

    import_tensorflow()
    from dcgan_tf.generate.generation import generate

    generate(args)


if __name__ == "__main__":
    leave(run_command(main))
