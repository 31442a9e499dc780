"""--dry-run: show what a training would do."""

import io

from dcgan_tf.common.config_file import to_toml
from dcgan_tf.common.datasets import FETCHED
from dcgan_tf.common.errors import UserError
from dcgan_tf.data.pipeline import steps_per_epoch
from dcgan_tf.data.places import find
from dcgan_tf.models.parts import build_networks
from dcgan_tf.train import devices
from dcgan_tf.train.images import check_count, open_images, warn_of_few


def print_plan(request):
    """Print the resolved config, both networks with Keras' totals, and the plan.

    Args:
        request: command.Request, checked by command.check_request.

    Raises:
        UserError: devices that are not there; missing data are only told.
    """
    config = request.config
    print(to_toml(config))
    devices.prepare(config)
    strategy = devices.open_strategy(config)
    for network in build_networks(config):
        text = io.StringIO()
        network.summary(print_fn=lambda line, text=text: print(line, file=text))
        print(text.getvalue())
    print(f"run:      {request.run_dir or f'a new directory runs/NNNN-{request.config_name}'}")
    print(f"devices:  {devices.describe(strategy)}, precision {config.precision}")
    print(f"images:   {look_for_images(request)[1]}")


def look_for_images(request) -> tuple[int, str]:
    """How many images a training would see, 0 where that is not known, and what to say of it."""
    config = request.config
    try:
        if config.data in FETCHED:
            return config.subset, f"{find(config)}, downloaded if needed (not looked at now)"
        config, source, new = request.images or open_images(request)
    except UserError as error:
        return config.subset, f"none: {error.for_command()}"
    count = config.subset or len(source.names)
    check_count(config, count, source.where, new)
    if new:
        warn_of_few(config, count)
    steps = steps_per_epoch(count, config.batch_size)
    return count, (
        f"{count:,} of {len(source.names):,}, {source.where}; steps of {config.batch_size}: "
        f"{steps:,} an epoch, {steps * config.epochs:,} in all"
    )
