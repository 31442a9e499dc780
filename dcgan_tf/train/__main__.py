"""Run the command `train.py`."""

from dcgan_tf.common.cli import leave, run_command
from dcgan_tf.common.log import speak
from dcgan_tf.train.command import parse_training, prepare


def main(argv=None):
    """Train as the command line asks; the process' exit code."""
    speak()
    request = prepare(parse_training(argv))
    return _story(request)(request)


def _story(request):
    """The function that does what the request asks for."""
    if request.dry_run:
        from dcgan_tf.train.dry_run import print_plan

        return print_plan
    if request.check:
        from dcgan_tf.train.check import check

        return check
    from dcgan_tf.train.training import train

    return train


def run():
    """The command `train.py`, or `dcgan-train` where the package is installed."""
    leave(run_command(main))


if __name__ == "__main__":
    run()
