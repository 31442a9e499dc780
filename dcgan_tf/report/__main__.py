"""Run the command `report`."""

from dcgan_tf.common.cli import run
from dcgan_tf.common.log import speak
from dcgan_tf.report.command import parse_report


def main(argv=None):
    """Write the page as the command line asks."""
    speak()
    runs, out = parse_report(argv)
    from dcgan_tf.report.page import write_report  # slow to import

    write_report(runs, out)


if __name__ == "__main__":
    run(main)
