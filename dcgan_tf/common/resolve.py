"""Settings that depend on each other: filled in, and refused with the reason where they clash."""

from dataclasses import replace

from dcgan_tf.common import limits
from dcgan_tf.common.datasets import CELEBA_CROP, DATASETS
from dcgan_tf.common.errors import UserError

AUGMENTATIONS = ("flip", "shift", "colour", "cutout")  # what each is: models/augment.py


def resolve(config):
    """Fill in what depends on other fields and check what no field can tell alone.

    Returns:
        Config: the same settings, `crop` made explicit.

    Raises:
        UserError: sizes that do not fit each other, or an unreadable crop.
    """
    if config.crop == "auto":
        config = replace(config, crop=DATASETS[config.dataset].crop)
    if config.crop != "center":
        config = replace(config, crop=check_crop(config.crop))
    if 2 ** len(config.d_channels) > config.image_size:
        raise UserError(
            f"--d-channels: {len(config.d_channels)} convolutions halve {config.image_size} pixels "
            f"to less than one; use {config.image_size.bit_length() - 1} or fewer"
        )
    made = config.g_sizes[-1]
    if made != config.image_size:
        raise UserError(
            f"--image-size: base_size {config.base_size} x 2^{config.g_doublings} = {made}, "
            f"but image_size is {config.image_size}; {_size_advice(config)}"
        )
    if not 0 < config.batchnorm_momentum < 1:
        raise UserError(
            f"--batchnorm-momentum: got {config.batchnorm_momentum}, "
            "expected a number between 0 and 1, both excluded"
        )
    _check_recipe(config)
    return config


def _check_recipe(config):
    """Refuse settings of the training that contradict each other, with the reason."""
    kinds = config.augment_kinds
    if not all(kind in AUGMENTATIONS for kind in kinds) or len(set(kinds)) < len(kinds):
        raise UserError(
            f"--augment: got {limits.shown(config.augment)}, expected some of "
            f"{','.join(AUGMENTATIONS)}"
        )
    if (config.r1 or config.r2) and config.d_norm == "batch":
        raise UserError(
            "--d-norm batch: r1 and r2 are slopes of D at single pictures, and BatchNorm makes "
            "D's answer depend on the whole batch; use --d-norm none, or no r1 and r2"
        )
    if config.loss != "non_saturating" and (config.label_smoothing or config.label_noise):
        raise UserError(
            f"--loss {config.loss}: has no targets that label_smoothing and label_noise could "
            "move; set both to 0, or use --loss non_saturating"
        )
    if (config.lr_decay != "none" or config.penalty_end < 1) and not config.decay_images:
        raise UserError(
            "--decay-images: got 0, but lr_decay or penalty_end asks for something that falls; "
            "say after how many images it is at its end"
        )
    if config.average_into_g and config.average == "none":
        raise UserError("--average-into-g: there is no average; use --average half_life or power")


def check_crop(text, flag="--crop"):
    """str: a crop box in its plain spelling; UserError, naming `flag`, where it is none."""
    try:
        left, upper, right, lower = (int(part) for part in text.split(","))
    except ValueError:
        left = upper = right = lower = 0
    if not (0 <= left < right <= limits.COUNT and 0 <= upper < lower <= limits.COUNT):
        raise UserError(
            f"{flag}: got {limits.shown(text)}, expected center or left,upper,right,lower "
            f"with left < right and upper < lower, such as {CELEBA_CROP}"
        )
    return f"{left},{upper},{right},{lower}"


def _size_advice(config):
    factor = 2**config.g_doublings
    if config.image_size % factor == 0:
        return f"base_size {config.image_size // factor} would fit"
    return f"image_size must be a multiple of {factor} with {config.g_doublings} doublings in G"
