"""Find, count and check the images of a training, before TensorFlow is imported."""

import logging
import math
from dataclasses import replace

from dcgan_tf.common.checkpoints import read_journal
from dcgan_tf.common.config import Config
from dcgan_tf.common.errors import UserError
from dcgan_tf.common.limits import counted
from dcgan_tf.common.runs import Run, find_again
from dcgan_tf.data import pack
from dcgan_tf.data.places import FEWEST, check_batch, is_fetched
from dcgan_tf.data.sources import recognize

log = logging.getLogger(__name__)

FEW = 1_000  # D knows fewer by heart before G is good
ENOUGH_SEEN = 40_000  # images, repeated ones counted, after which the recipes make faces


def recognize_images(request):
    """Return the request with the data set that its images are, where it is "auto".

    Where no recipe is named, images of one's own are all used.
    """
    try:
        config = recognize(request.config)
    except UserError:
        if request.dry_run or request.check:  # which go on without images
            return request
        raise
    if request.config_name == "auto":
        if config.dataset != "celeba" and "subset" not in request.named:
            config = replace(config, subset=0)
        request = replace(request, config_name=config.dataset)
    return replace(request, config=config)


def find_images(request):
    """Return the request with its images, opened and counted; without them where they are
    downloaded first, or where a run is finished, which needs none.

    Raises:
        UserError: no images, too few, or fewer than a batch. A dry run goes on without any.
    """
    if _is_finished(request):
        return request
    try:
        if is_fetched(request.config):
            return request
        request = replace(request, images=open_images(request))
    except UserError:
        if request.dry_run or request.check:
            return request
        raise
    config, source, new = request.images
    check_count(config, config.subset or len(source.names), source.where, new)
    return replace(request, config=replace(request.config, subset=config.subset))


def open_images(request) -> tuple:
    """Open the images of a request.

    Returns:
        The settings, with the paths of a resumed run as they are seen from here, and without a
        recipe's subset where there are fewer images; what pack.open_pack takes; whether the
        training is new, without a checkpoint.

    Raises:
        UserError: as sources.open_source.
    """
    config, trained_on = request.config, None
    if request.run_dir and Run(request.run_dir).config.is_file():
        run = Run(request.run_dir)
        trained_on = read_journal(run).get("pixels_sha256")
        config = find_again(run, config, request.named)
    typed = "subset" in request.named or trained_on
    source = pack.open_images(
        config if typed else replace(config, subset=0),
        trained_on,
        pack_first="data" not in request.named,
    )
    count = len(source.names)
    if not typed and config.subset > count:
        log.info(f"{counted(count, 'image')}, fewer than subset {config.subset:,}: all are used")
        config = replace(config, subset=0)
    return config, source, not trained_on


def _is_finished(request):
    journal = read_journal(Run(request.run_dir)) if request.run_dir else {}
    return journal and journal["step"] >= request.config.epochs * journal["steps_per_epoch"]


def check_count(config: Config, count: int, where: object, new: bool) -> None:
    """Raise UserError where there are too few images for a new training, or for a batch."""
    if new and count < FEWEST:
        flag = f"--subset {config.subset}" if config.subset else f"--data {where}"
        raise UserError(f"{counted(count, 'image')}, a training needs {FEWEST} or more", flag=flag)
    check_batch(count, "--batch-size", config.batch_size)


def warn_of_few(config: Config, count: int) -> None:
    """Warn where the images, or those that will be seen, are too few for what is asked for."""
    planned = count // config.batch_size * config.batch_size * config.epochs
    if count < FEW:
        log.warning(
            f"{counted(count, 'image')}: D knows fewer than {FEW:,} by heart soon, and G may copy "
            f"them; add images{_advice(config, count, planned)}"
        )
    falls = config.lr_decay != "none" or config.penalty_end < 1
    for name, has_effect in (("decay_images", falls), ("augment_ramp", config.augment)):
        wanted = getattr(config, name)
        if has_effect and planned < 0.9 * wanted:
            log.warning(
                f"--{name.replace('_', '-')} {wanted}: {planned / wanted:.0%} of them are seen in "
                f"{counted(config.epochs, 'epoch')} ({planned:,} images); use {planned}, "
                f"or --epochs {math.ceil(wanted * config.epochs / planned)}"
            )


def _advice(config, count, planned) -> str:
    """Flags with which few images are seen often enough."""
    flags = [] if config.augment else ["--augment shift,colour,cutout"]
    if planned < ENOUGH_SEEN:
        batch = min(config.batch_size, 8)
        flags += [f"--batch-size {batch}"] * (batch < config.batch_size)
        flags += [f"--epochs {math.ceil(ENOUGH_SEEN / (count // batch * batch))}"]
    return f", or try {' '.join(flags)}" if flags else ""
