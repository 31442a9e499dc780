"""Generate pictures with a trained generator: `python generate.py --n 64`."""

from dcgan_tf.errors import leave, run_command
from dcgan_tf.generate_flags import parse_generation


def main(argv=None):
    args = parse_generation(argv)  # mistakes are refused before the seconds that TensorFlow takes
    from dcgan_tf.quiet import import_tensorflow

    import_tensorflow()
    from dcgan_tf.generation import generate

    generate(args)


if __name__ == "__main__":
    leave(run_command(main))
