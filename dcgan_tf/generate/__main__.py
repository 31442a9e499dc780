"""Run the command `generate.py`."""

from collections.abc import Sequence

from dcgan_tf.common.cli import leave, run_command
from dcgan_tf.common.log import speak
from dcgan_tf.generate.command import parse_generation


def main(argv: Sequence[str] | None = None):
    """Generate as the command line asks."""
    speak()
    request = parse_generation(argv)  # mistakes are refused before TensorFlow's seconds
    from dcgan_tf.common.start_tensorflow import start_tensorflow

    start_tensorflow()
    from dcgan_tf.generate.generation import generate

    generate(request)


def run():
    """Run the command and end the process with its exit code."""
    leave(run_command(main))


if __name__ == "__main__":
    run()
