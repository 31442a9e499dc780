"""Run the command `python -m dcgan_tf.storage`."""

from dcgan_tf.common.cli import leave, run_command
from dcgan_tf.common.log import speak
from dcgan_tf.storage import storage
from dcgan_tf.storage.command import parse_storage


def main(argv=None):
    """List, and clear where that was asked for."""
    args = parse_storage(argv)
    speak()
    return storage.show(args.places, args.unused, args.clear)


def run():
    """The command `python -m dcgan_tf.storage`."""
    leave(run_command(main))


if __name__ == "__main__":
    run()
