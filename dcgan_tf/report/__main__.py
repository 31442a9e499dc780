"""Run the command `python -m dcgan_tf.report`."""

from dcgan_tf.common.cli import leave, run_command
from dcgan_tf.common.log import speak
from dcgan_tf.report.command import parse_report


def main(argv=None):
    """Write the page."""
    request = parse_report(argv)
    speak()
    from dcgan_tf.report.page import write_report

    write_report(request.runs, request.out)


def run():
    """The command `python -m dcgan_tf.report`."""
    leave(run_command(main))


if __name__ == "__main__":
    run()
