"""Run the command `python -m dcgan_tf.export`."""

from collections.abc import Sequence

from dcgan_tf.common.cli import leave, run_command
from dcgan_tf.common.log import speak
from dcgan_tf.export.command import parse_export


def main(argv: Sequence[str] | None = None):
    """Export as the command line asks."""
    speak()
    request = parse_export(argv)
    from dcgan_tf.common.start_tensorflow import start_tensorflow

    start_tensorflow()
    from dcgan_tf.export.exporting import export

    export(request)


def run():
    """The command `python -m dcgan_tf.export`."""
    leave(run_command(main))


if __name__ == "__main__":
    run()
