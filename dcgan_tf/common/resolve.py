"""Settings that depend on each other, refused with the reason where they clash."""

from dcgan_tf.common import limits
from dcgan_tf.common.datasets import CELEBA_CROP
from dcgan_tf.common.errors import UserError

AUGMENTATIONS = ("flip", "shift", "colour", "cutout")  # what each is: models/augment.py


def check_settings(config):
    """Raise UserError for what no field of a config.Config can tell alone."""
    if not config.networks:
        _check_sizes(config)
    kinds = config.augment_kinds
    if not set(kinds) <= set(AUGMENTATIONS) or len(set(kinds)) < len(kinds):
        raise UserError(
            f"got {limits.shown(config.augment)}, expected some of {','.join(AUGMENTATIONS)}",
            param="augment",
        )
    if (config.r1 or config.r2) and config.d_norm == "batch":
        raise UserError(
            "r1 and r2 are slopes of D at single images, and BatchNorm makes D's answer "
            "depend on the whole batch; use d_norm none, or no r1 and r2",
            flag="--d-norm batch",
        )
    if config.loss != "non_saturating" and (config.label_smoothing or config.label_noise):
        raise UserError(
            "has no targets that label_smoothing and label_noise could move; "
            "set both to 0, or use the loss non_saturating",
            flag=f"--loss {limits.shorten(config.loss)}",
        )
    if (config.lr_decay != "none" or config.penalty_end < 1) and not config.decay_images:
        raise UserError(
            "got 0, but lr_decay or penalty_end asks for something that falls; "
            "say after how many images it is at its end",
            param="decay_images",
        )


def _check_sizes(config):
    """Refuse a G that makes other sizes than image_size, and a D that halves it too often."""
    side, factor = config.image_size, 2**config.g_doublings
    if 2 ** len(config.d_channels) > side:
        raise UserError(
            f"{len(config.d_channels)} convolutions halve {side} pixels "
            f"to less than one; use {side.bit_length() - 1} or fewer",
            param="d_channels",
        )
    if config.base_size * factor != side:
        advice = f"image_size must be a multiple of {factor} with {config.g_doublings} doublings"
        raise UserError(
            f"base_size {config.base_size} x 2^{config.g_doublings} = {config.base_size * factor}, "
            f"but image_size is {side}; "
            + (f"{advice} in G" if side % factor else f"base_size {side // factor} would fit"),
            param="image_size",
        )
    if not 0 < config.batchnorm_momentum < 1:
        raise UserError(
            f"got {config.batchnorm_momentum}, expected a number between 0 and 1, both excluded",
            param="batchnorm_momentum",
        )


def check_crop(text: str, param: str = "crop") -> str:
    """Normalize a crop, "center" or a box; UserError where it is neither."""
    if text == "center":
        return text
    try:
        left, upper, right, lower = (int(part) for part in text.split(","))
    except ValueError:
        left = upper = right = lower = 0
    if not (0 <= left < right <= limits.COUNT and 0 <= upper < lower <= limits.COUNT):
        raise UserError(
            f"got {limits.shown(text)}, expected center or left,upper,right,lower "
            f"with left < right and upper < lower, such as {CELEBA_CROP}",
            param=param,
        )
    return f"{left},{upper},{right},{lower}"


def check_color(text: str, param: str = "background"):
    """Raise UserError for what is no color."""
    if text == "white":  # the default, which needs no Pillow
        return
    from PIL import ImageColor

    try:
        ImageColor.getrgb(text)
    except ValueError:
        expected = "expected a color such as white, black or #20304f"
        raise UserError(f"got {limits.shown(text)}, {expected}", param=param) from None
