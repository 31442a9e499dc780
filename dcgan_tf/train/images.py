"""Find, count and check the images of a training, before TensorFlow is imported."""

import logging
import math
from dataclasses import replace

from dcgan_tf.common.checkpoints import read_journal
from dcgan_tf.common.config import Config, flag, merge_settings
from dcgan_tf.common.config_file import OWN_IMAGES, find_config, read_table
from dcgan_tf.common.errors import UserError
from dcgan_tf.common.limits import counted
from dcgan_tf.common.runs import Run, find_again
from dcgan_tf.data import pack
from dcgan_tf.data.labels import no_labels, read_labels
from dcgan_tf.data.places import FEWEST, check_batch, is_fetched
from dcgan_tf.data.sources import recognize
from dcgan_tf.train.init_from import with_shape

log = logging.getLogger(__name__)

FEW = 1_000  # D memorizes fewer before G is good
ENOUGH_SEEN = 40_000  # images, repeated ones counted, after which the recipes make faces
EPOCH = 2_000, 10_000  # images of an epoch at least and at most, where images decides the length


def recognize_images(request):
    """Put the data set that the images are in the place of "auto".

    Where no recipe is named, other images than CelebA's take the recipe for them, with all images.
    """
    try:
        config = recognize(request.config)
    except UserError:
        if request.dry_run or request.check:  # which go on without images
            return request
        raise
    if request.config_name:
        name = config.dataset if request.by_program else request.config_name
        return replace(request, config=config, config_name=name)
    recipes = {"celeba": request.celeba, "folder": OWN_IMAGES}
    name = recipes.get(config.dataset, config.dataset)
    settings = with_shape(read_table(find_config(name)), config.init_from, own=False)
    if config.dataset != "celeba":
        settings["subset"] = 0
    typed = {field: getattr(config, field) for field in request.named}
    found = {"dataset": config.dataset, "data": config.data}
    config = Config(**merge_settings(settings, typed | found))
    return replace(request, config=config, config_name=name)


def find_images(request):
    """Open and count the images of a request, unless they are downloaded first or its run is
    finished.

    Raises:
        UserError: no images, too few, or fewer than a batch. A dry run goes on without any.
    """
    config = request.config
    if config.labels and (config.data == "tfds" or config.dataset == "demo"):
        raise no_labels(config)
    try:
        if is_finished(request) or is_fetched(config):
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
        The settings, with the paths of a resumed run as seen from here, and without a recipe's
        subset where there are fewer images; what pack.open_pack takes; whether the training is
        new, without a checkpoint.
    """
    config, trained_on, labels = request.config, None, ""
    if request.run_dir and Run(request.run_dir).config.is_file():
        run = Run(request.run_dir)
        journal = read_journal(run)
        trained_on, labels = journal.get("pixels_sha256"), journal.get("labels_sha256", "")
        config = find_again(run, config, request.named)
    typed, named = "subset" in request.named or trained_on, "data" in request.named
    source = pack.open_images(
        config if typed else replace(config, subset=0),
        trained_on,
        pack_first=not (named or "label_table" in request.named),
        named=named,
        labels_sha256=labels,
    )
    if (config.labels or config.label_table) and not isinstance(source, pack.Pack):
        read_labels(config, source)  # refused before the seconds that TensorFlow takes
    count = len(source.names)
    if not typed and config.subset > count:
        log.info(f"{counted(count, 'image')}, fewer than subset {config.subset:,}: all are used")
        config = replace(config, subset=0)
    return config, source, not trained_on


def is_finished(request) -> bool:
    """Tell whether a request's run has all that it asks for."""
    journal = read_journal(Run(request.run_dir)) if request.run_dir else {}
    if not journal:
        return False
    steps = journal["steps_per_epoch"]
    return journal["step"] >= steps * request.config.epochs_of(steps * request.config.batch_size)


def check_count(config: Config, count: int, where: object, new: bool) -> None:
    """Raise UserError where there are too few images for a new training, or for a batch."""
    if new and count < FEWEST:
        flag = f"--subset {config.subset}" if config.subset else f"--data {where}"
        raise UserError(f"{counted(count, 'image')}, a training needs {FEWEST} or more", flag=flag)
    check_batch(count, "--batch-size", config.batch_size)


def plan_epoch(config: Config, count: int) -> int:
    """The steps of an epoch of a new training on `count` images.

    An epoch is a pass over the images; where the length of the training is in images, it is 2,000
    to 10,000 of them, so that lines, samples, scores and checkpoints come at the same distance
    whatever the size of the data. 0 for no images.
    """
    steps = count // config.batch_size
    if not (config.images and count):
        return steps
    total = math.ceil(config.images / config.batch_size)
    each = min(max(steps * config.batch_size, EPOCH[0]), EPOCH[1]) / config.batch_size
    return math.ceil(total / max(round(total / each), 1))


def warn_of_few(config: Config, count: int) -> None:
    """Warn where the images, or those that will be seen, are too few for what is asked for."""
    epoch = plan_epoch(config, count) * config.batch_size
    planned = config.epochs_of(epoch) * epoch
    if count < FEW:
        flags = [] if config.augment else ["--augment shift,colour,cutout"]
        flags += ["--images 40k"] * (planned < ENOUGH_SEEN)
        log.warning(
            f"{counted(count, 'image')}: D soon memorizes fewer than {FEW:,}, and G may copy "
            f"them; add images{', or try ' + ' '.join(flags) if flags else ''}"
        )
    falls = config.lr_decay != "none" or config.penalty_end < 1
    for name, has_effect in (("decay_images", falls), ("augment_ramp", config.augment)):
        wanted = getattr(config, name)
        if has_effect and planned < 0.9 * wanted:
            log.warning(
                f"{flag(name)} {wanted}: the training ends after {planned:,} images, "
                f"{planned / wanted:.0%} of them; use {planned}, or --images {wanted}"
            )
