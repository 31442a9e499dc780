"""Run the command `probe`."""

from dataclasses import replace

from dcgan_tf.common.cli import run
from dcgan_tf.common.config_file import read_config
from dcgan_tf.common.log import speak
from dcgan_tf.common.start_tensorflow import start_tensorflow
from dcgan_tf.probe.command import parse_probe


def main(argv=None):
    """Probe a discriminator as the command line asks."""
    speak()
    request = parse_probe(argv)
    from dcgan_tf.data.sources import check_named  # imports NumPy, slowly

    own = read_config(request.run.config)
    check_named(replace(own, dataset=request.dataset or own.dataset), request.data)
    start_tensorflow()  # takes seconds, so mistakes are reported first
    from dcgan_tf.probe.probing import probe

    probe(request)


if __name__ == "__main__":
    run(main)
