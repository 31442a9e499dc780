"""Run the command `explore`."""

from dcgan_tf.common.cli import run
from dcgan_tf.common.log import speak
from dcgan_tf.common.start_tensorflow import start_tensorflow
from dcgan_tf.explore.command import parse_explore


def main(argv=None):
    """Serve or write the page as the command line asks."""
    speak()
    request = parse_explore(argv)
    start_tensorflow()  # takes seconds, so mistakes are reported first
    from dcgan_tf.explore.exploration import explore

    explore(request)


if __name__ == "__main__":
    run(main)
