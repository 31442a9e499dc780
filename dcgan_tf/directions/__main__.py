"""Run the command `directions`."""

from dcgan_tf.common.cli import run
from dcgan_tf.common.errors import UserError
from dcgan_tf.common.log import speak
from dcgan_tf.common.start_tensorflow import start_tensorflow
from dcgan_tf.directions.command import config_of, parse_directions


def main(argv=None):
    """Find directions as the command line asks."""
    speak()
    request = parse_directions(argv)
    from dcgan_tf.data.sources import check_named  # imports NumPy, slowly

    for flag, place in (("--data", request.data), ("--judge-data", request.judge_data)):
        try:
            check_named(config_of(request.model), place)
        except UserError as error:
            raise UserError(error.message, flag=error.flag.replace("--data", flag)) from None
    start_tensorflow()  # takes seconds, so mistakes are reported first
    from dcgan_tf.directions.finding import find_directions

    find_directions(request)


if __name__ == "__main__":
    run(main)
