"""Run the command `python -m dcgan_tf.directions`."""

from collections.abc import Sequence

from dcgan_tf.common.cli import leave, run_command
from dcgan_tf.common.log import speak
from dcgan_tf.directions.command import parse_directions


def main(argv: Sequence[str] | None = None):
    """Find directions as the command line asks."""
    speak()
    request = parse_directions(argv)
    from dcgan_tf.common.start_tensorflow import start_tensorflow

    start_tensorflow()
    from dcgan_tf.directions.finding import find_directions

    find_directions(request)


if __name__ == "__main__":
    leave(run_command(main))
