"""Run the command `compare`."""

from dcgan_tf.common.cli import run
from dcgan_tf.common.log import speak
from dcgan_tf.compare.command import parse_compare


def main(argv=None):
    """Compare runs as the command line asks."""
    speak()
    runs, out = parse_compare(argv)
    from dcgan_tf.compare.comparing import compare  # a second that --help need not wait for

    compare(runs, out)


if __name__ == "__main__":
    run(main)
