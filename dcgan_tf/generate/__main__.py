"""Run the command `generate`."""

from dcgan_tf.common.cli import run
from dcgan_tf.common.log import speak
from dcgan_tf.common.start_tensorflow import start_tensorflow
from dcgan_tf.generate.command import parse_generation


def main(argv=None):
    """Generate images as the command line asks."""
    speak()
    request = parse_generation(argv)
    start_tensorflow()  # takes seconds, so mistakes are reported first
    from dcgan_tf.generate.generation import generate

    generate(request)


if __name__ == "__main__":
    run(main)
