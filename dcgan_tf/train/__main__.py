"""Run the command `train`."""

from dcgan_tf.common.cli import run
from dcgan_tf.common.log import speak
from dcgan_tf.train.command import parse_training, prepare


def main(argv=None):
    """Train as the command line asks; return the exit code of the process."""
    speak()
    request = parse_training(argv)
    if request.json:
        speak("stderr")  # stdout has the JSON alone
    request = prepare(request)
    from dcgan_tf.train.trial import choose_precision, measure_speed, print_plan

    request = choose_precision(request)
    if request.dry_run or request.check:
        return print_plan(request) if request.dry_run else measure_speed(request)
    from dcgan_tf.train.training import run_training

    return run_training(request)[1]


if __name__ == "__main__":
    run(main)
