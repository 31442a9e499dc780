"""Run the command `compare`."""

from collections.abc import Sequence

from dcgan_tf.common.cli import run
from dcgan_tf.common.log import speak
from dcgan_tf.compare.command import parse_compare


def main(argv: Sequence[str] | None = None):
    """Compare as the command line asks."""
    runs, out, form = parse_compare(argv)
    speak("stdout" if form == "text" else "stderr")
    from dcgan_tf.compare.comparing import compare

    compare(runs, out, form)


if __name__ == "__main__":
    run(main)
