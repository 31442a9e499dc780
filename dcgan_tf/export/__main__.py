"""Run the command `export`."""

from dcgan_tf.common.cli import run
from dcgan_tf.common.log import speak
from dcgan_tf.common.start_tensorflow import start_tensorflow
from dcgan_tf.export.command import parse_export


def main(argv=None):
    """Export a generator as the command line asks."""
    speak()
    request = parse_export(argv)
    start_tensorflow()  # takes seconds, so mistakes are refused before
    from dcgan_tf.export.exporting import export

    export(request)


if __name__ == "__main__":
    run(main)
