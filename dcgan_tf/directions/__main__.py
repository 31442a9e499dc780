"""Run the command `directions`."""

from dcgan_tf.common.cli import run
from dcgan_tf.common.log import speak
from dcgan_tf.common.start_tensorflow import start_tensorflow
from dcgan_tf.directions.command import parse_directions


def main(argv=None):
    """Find directions as the command line asks."""
    speak()
    request = parse_directions(argv)
    start_tensorflow()  # takes seconds, so mistakes are refused before
    from dcgan_tf.directions.finding import find_directions

    find_directions(request)


if __name__ == "__main__":
    run(main)
