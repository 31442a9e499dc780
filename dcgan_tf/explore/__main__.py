"""Run the command `python -m dcgan_tf.explore`."""

from collections.abc import Sequence

from dcgan_tf.common.cli import leave, run_command
from dcgan_tf.common.log import speak
from dcgan_tf.explore.command import parse_explore


def main(argv: Sequence[str] | None = None):
    """Explore as the command line asks."""
    speak()
    request = parse_explore(argv)  # mistakes are refused before TensorFlow's seconds
    from dcgan_tf.common.start_tensorflow import start_tensorflow

    start_tensorflow()
    from dcgan_tf.explore.exploration import explore

    explore(request)


def run():
    """The command `python -m dcgan_tf.explore`."""
    leave(run_command(main))


if __name__ == "__main__":
    run()
