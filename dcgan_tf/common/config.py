"""The settings of a run: one flat, frozen dataclass with defaults and limits.

The defaults are the reference recipe, `configs/celeba.toml`, except `subset`: all images. A config
file (config_file.py) and flags (train/command.py) override them.
"""

import math
import numbers
import os
import re
from dataclasses import dataclass, field, fields
from typing import Any

from dcgan_tf.common import limits
from dcgan_tf.common.datasets import CELEBA_CROP, DATASETS
from dcgan_tf.common.errors import UserError

COUNT = 1_000_000_000  # largest value of fields without their own limit: images, steps, crop
LAYERS = 12  # most halvings or doublings: 4096 pixels allow no more
WIDTH = 64  # largest factor on the channel counts
CHANNELS = 65_536  # of one feature map, before the width
AUGMENTATIONS = ("flip", "shift", "colour", "cutout")  # see models/augment.py

# Settings that a resumed run may change, because they do not affect the weights.
_MAY_CHANGE = {
    *("data", "label_table", "packs", "epochs", "images", "device", "strategy", "jit"),
    *("sample_every", "sample_count", "progress_format"),
    *("checkpoint_every", "checkpoint_steps", "checkpoint_minutes", "keep_checkpoints"),
    *("tensorboard", "score_every", "score_samples", "inception"),
}
# Settings it may change too; config.toml records each change with its step (train/changes.py).
MIDWAY = ("g_learning_rate", "d_learning_rate")

# Headings of --help and config.toml, keyed by the first field below each.
_HEADINGS = {
    "dataset": "Common settings",
    "subset_seed": "Images",
    "latent_dim": "Networks",
    "g_learning_rate": "Training",
    "device": "Device",
    "sample_every": "Output",
}


def _option(
    default, help: str, low: float = 0, high: float = COUNT, *, above=False, choices=(), own=False
) -> Any:
    """Make a field; `above` excludes `low`, `own` allows module:Name besides the choices."""
    bounds = {"low": low, "above": above, "high": high, "choices": choices, "own": own}
    return field(default=default, metadata={"help": help} | bounds)


def _choice(choices: str, help: str, own=False) -> Any:
    """Make a field that takes one of `choices`; the first is the default."""
    names = tuple(choices.split("|"))
    return _option(names[0], help, choices=names, own=own)


EPOCHS = 200  # if neither epochs nor images is given


@dataclass(frozen=True)
class Config:
    """The settings of one training; `python train.py --help` describes each field.

    Lists become tuples, paths become strings, and `crop="auto"` becomes the data set's own crop.

    Raises:
        UserError: a wrong type or value, or settings that contradict each other.

    Examples:
        >>> from dcgan_tf import Config
        >>> config = Config(width=0.25, image_size=32, base_size=4, loss="hinge")
        >>> config.g_sizes
        [4, 8, 16, 32]
    """

    dataset: str = _option(
        "celeba",
        "data set; folder: your own images; auto: recognized from the files in data",
        choices=tuple(DATASETS),
    )
    data: str = _option(
        "",
        "zip or folder of images; hf:NAME[:SPLIT[:COLUMN]]: data set of the Hugging Face hub; "
        "tfds or kaggle: download (empty: look in the usual places)",
    )
    subset: int = _option(0, "number of training images, chosen by subset_seed (0: all)")
    epochs: int = _option(0, "passes over the training images; 200 unless images is given", 1)
    images: int = _option(0, "training length in images seen, such as 200k (0: set by epochs)")
    batch_size: int = _option(32, "images per step, over all devices together", 2, 65_536)
    width: float = _option(
        1.0, "factor on the channel counts of G and D, not on latent_dim", 1e-6, WIDTH
    )
    seed: int = _option(0, "seed of the weights, latents, shuffling and augmentation", 0, 2**31 - 1)

    subset_seed: int = _option(0, "seed that chooses the subset", 0, 2**32 - 1)
    crop: str = _option(
        "auto",
        "part of each image to use: left,upper,right,lower in pixels, or center for the largest "
        "square; auto: the usual crop of the data set",
    )
    fit: str = _choice(
        "crop|pad|stretch",
        "how images become square: cropped, padded with background, or stretched",
    )
    background: str = _option("white", "color around padded images, a name or #rrggbb")
    image_size: int = _option(64, "height and width of the training images, px", 4, limits.SIDE)
    channels: int = _option(3, "color channels: 3 for RGB, 1 for gray", choices=(1, 3))
    labels: str = _option(
        "",
        "what images can be asked for: class (folders or label files), or columns of label_table "
        "such as Smiling,Male (empty: nothing)",
    )
    label_table: str = _option(
        "", "table of attributes (empty: CelebA's list_attr_celeba, among the files of data)"
    )
    flip: bool = _option(False, "mirror real images left-right at random")
    max_bad: float = _option(
        0.1, "largest fraction of unusable files to skip; more is an error", 0, 1
    )
    # TensorFlow and Pillow decode no more than 170 megapixels.
    max_pixels: float = _option(
        limits.MEGAPIXELS, "skip images with more megapixels than this", 0, 170.0, above=True
    )
    packs: str = _option("data/packs", "folder that caches the prepared images")

    latent_dim: int = _option(128, "length of the latent vector", 1, 1_048_576)
    base_size: int = _option(8, "G: side of the first feature map", 1, limits.SIDE)
    base_channels: int = _option(128, "G: channels of the first feature map", 1, CHANNELS)
    base_batchnorm: bool = _option(False, "G: BatchNorm and activation on the first feature map")
    g_channels: tuple[int, ...] = _option(
        (128, 256, 512), "G: channels of the layers that double the side", 1, CHANNELS
    )
    g_activation: str = _choice("leaky_relu|relu", "G: activation after BatchNorm")
    g_output: str = _choice(
        "conv|transposed",
        "G: last layer; conv: a 5x5 convolution; transposed: one that also doubles the side",
    )
    output_activation: str = _choice(
        "sigmoid|tanh", "G: last activation, which sets the pixel range: sigmoid [0,1], tanh [-1,1]"
    )
    d_channels: tuple[int, ...] = _option(
        (64, 128, 128), "D: channels of the layers that halve the side", 1, CHANNELS
    )
    d_width: float = _option(0.0, "D: factor on the channel counts (0: width)", 0, WIDTH)
    d_norm: str = _choice(
        "batch|none|spectral",
        "D: normalization; batch: BatchNorm; spectral: spectral norm of the weights",
    )
    d_first_batchnorm: bool = _option(True, "D: BatchNorm also after the first convolution")
    d_minibatch_std: int = _option(
        0, "D: group size of the minibatch standard deviation channel (0: none)", 0, 65_536
    )
    d_hidden: int = _option(
        0, "D: units of a hidden layer before the logit, not scaled by width (0: none)", 0, CHANNELS
    )
    kernel_size: int = _option(
        4, "side of the kernels of the layers that double or halve the side, G and D", 2, 16
    )
    use_bias: bool = _option(True, "biases in dense and convolution layers")
    leaky_slope: float = _option(0.2, "slope of LeakyReLU below zero", 0, 1)
    init_stddev: float = _option(0.02, "standard deviation of the initial weights", 1e-6, 100)
    batchnorm_momentum: float = _option(0.9, "BatchNorm momentum", 0, 1)
    batchnorm_epsilon: float = _option(
        1e-3, "number added to BatchNorm's variances; PyTorch's is 1e-5", 1e-5, 1
    )
    networks: str = _option("", "module:function that returns your own G and D (empty: built-in)")

    g_learning_rate: float = _option(1e-4, "G: Adam's learning rate", 1e-38, 1e30)
    d_learning_rate: float = _option(1e-4, "D: Adam's learning rate", 1e-38, 1e30)
    lr_decay: str = _choice(
        "none|linear|cosine", "learning-rate schedule of G and D over decay_images"
    )
    lr_end: float = _option(0.1, "final learning rate as a fraction of the initial one", 0, 1)
    decay_images: int = _option(0, "images until lr_end and penalty_end are reached (0: as images)")
    beta_1: float = _option(0.5, "Adam's beta_1, G and D", 0, 0.9999)
    beta_2: float = _option(0.999, "Adam's beta_2, G and D", 0, 0.999999)
    loss: str = _choice(
        "non_saturating|hinge|relativistic",
        "loss of G and D; relativistic: D compares pairs of a real and a fake image",
        own=True,
    )
    r1: float = _option(0.0, "R1: gradient penalty on real images (not with d_norm batch)", 0, 1e6)
    r2: float = _option(0.0, "R2: gradient penalty on fake images (not with d_norm batch)", 0, 1e6)
    penalty_end: float = _option(1.0, "final r1 and r2 as a fraction of the initial ones", 1e-6, 1)
    augment: str = _option("", f"DiffAugment of D's inputs: some of {','.join(AUGMENTATIONS)}")
    augment_probability: float = _option(1.0, "probability of each augmentation", 0, 1)
    augment_ramp: int = _option(0, "images until augment_probability is reached (0: at once)")
    label_smoothing: float = _option(
        0.0, "one-sided label smoothing: D's target for real images is 1 minus this", 0, 0.5
    )
    label_noise: float = _option(
        0.0, "label noise: largest random shift of D's targets toward 1/2", 0, 0.5
    )
    fresh_fakes: bool = _option(False, "draw new latents for G's step instead of reusing D's")
    average: str = _choice("none|half_life", "EMA of G's weights for generating images")
    average_half_life: float = _option(4000.0, "EMA half-life in images", 0, 1e12, above=True)
    average_ramp: float = _option(
        0.05, "largest EMA half-life as a fraction of the images seen (0: no limit)", 0, 1
    )
    init_from: str = _option(
        "", "initial networks: a run, G.keras,D.keras, netG.pth,netD.pth or pretrained:faces"
    )

    device: str = _choice(
        "auto|gpu|cpu",
        "device; auto: a GPU if there is one; gpu: an error without a GPU; cpu: ignore GPUs",
    )
    strategy: str = _choice(
        "auto|none|mirrored|multiworker", "distribution of the training over devices"
    )
    precision: str = _choice(
        "float32|mixed_bfloat16|mixed_float16|float64|auto",
        "precision of the layers (weights and losses never below float32); auto: mixed_bfloat16 "
        "on hardware made for bfloat16, unless a short trial is clearly slower, else float32",
    )
    jit: str = _choice("auto|on|off", "XLA compilation; auto: on for a single suitable GPU")
    deterministic: bool = _option(False, "use only reproducible kernels, slower on a GPU")

    sample_every: int = _option(1, "epochs between sample grids", 1)
    sample_count: int = _option(64, "images in a sample grid", 1)
    progress_format: str = _option(
        "gif", "format of the animation of the sample grids", choices=("gif", "webp", "mp4")
    )
    checkpoint_every: int = _option(1, "epochs between checkpoints", 1)
    checkpoint_steps: int = _option(0, "steps between additional checkpoints (0: none)")
    checkpoint_minutes: float = _option(10.0, "minutes between additional checkpoints (0: none)")
    keep_checkpoints: int = _option(3, "number of checkpoints kept on disk", 1)
    tensorboard: bool = _option(True, "write TensorBoard events")
    score_every: int = _option(0, "epochs between scores of generated images (0: none)")
    score_samples: int = _option(1000, "number of generated and of real images in each score", 16)
    inception: str = _option("", "file of Inception weights for scores (empty: download)")

    def __post_init__(self):
        self._check_fields()
        _check_together(self)

    def _check_fields(self):
        for name in FIELDS:
            value = _plain(getattr(self, name))
            if name != "epochs" or value != 0:
                check_value(name, value)
            object.__setattr__(self, name, value)
        if self.epochs == self.images == 0:
            object.__setattr__(self, "epochs", EPOCHS)
        if self.decay_images == 0 and (self.lr_decay != "none" or self.penalty_end < 1):
            object.__setattr__(self, "decay_images", self.images)
        crop = DATASETS[self.dataset].crop if self.crop == "auto" else self.crop
        object.__setattr__(self, "crop", crop if crop == "auto" else check_crop(crop))
        _check_color(self.background)

    @property
    def g_sizes(self) -> list[int]:
        """Sides of G's feature maps, from the first one to the image, pixels."""
        return [self.base_size * 2**i for i in range(self.g_doublings + 1)]

    @property
    def g_doublings(self) -> int:
        """Number of transposed convolutions that double the side."""
        return len(self.g_channels) + (self.g_output == "transposed")

    def epochs_of(self, images: int) -> int:
        """Number of epochs, if an epoch has this many images."""
        return self.epochs or max(1, math.ceil(self.images / images))

    @property
    def crop_box(self) -> tuple[int, ...] | None:
        """Left, upper, right, lower, pixels; None for a center crop."""
        return tuple(map(int, self.crop.split(","))) if "," in self.crop else None

    @property
    def augment_kinds(self) -> tuple[str, ...]:
        return tuple(kind.strip() for kind in self.augment.split(",") if kind.strip())

    @property
    def label_names(self) -> tuple[str, ...]:
        """The columns of label_table that `labels` names, if it does not ask for classes."""
        parts = [name.strip() for name in self.labels.split(",")]
        return tuple(dict.fromkeys(filter(None, parts))) if self.labels != "class" else ()

    def scaled(self, channels: int) -> int:
        """A channel count of G times `width`, at least 1."""
        return max(1, round(channels * self.width))

    def d_scaled(self, channels: int) -> int:
        """A channel count of D times `d_width`, or `width` where that is 0; at least 1."""
        return max(1, round(channels * (self.d_width or self.width)))


class ImageConfig(Config):
    """Settings for images alone: network settings are not checked against each other."""

    def __post_init__(self):
        self._check_fields()


FIELDS = {f.name: f for f in fields(Config)}
_KINDS = {float: (int, float), tuple[int, ...]: (int,)}


def groups() -> dict[str, list[str]]:
    """Field names under their headings, in the order of `Config`."""
    found: dict[str, list[str]] = {}
    for name in FIELDS:
        found.setdefault(_HEADINGS.get(name) or list(found)[-1], []).append(name)
    return found


def _plain(value):
    """Convert lists, paths and NumPy numbers to the types of the fields."""
    if isinstance(value, (list, tuple)):
        return tuple(map(_plain, value))
    if isinstance(value, numbers.Real) and not isinstance(value, bool):
        return int(value) if isinstance(value, numbers.Integral) else float(value)
    return os.fspath(value) if isinstance(value, os.PathLike) else value


def check_value(name: str, value):
    """Raise UserError unless `value` has the type and is within the limits of field `name`."""
    spec = FIELDS[name]
    items = (value,)
    if spec.type == tuple[int, ...]:
        items = value if isinstance(value, tuple) else ()
    if not 0 < len(items) <= LAYERS or not all(_fits(spec, item) for item in items):
        raise UserError(f"got {_show(value)}, expected {expected(name)}", param=name)


def _fits(spec, item):
    bounds = spec.metadata
    if not isinstance(item, _KINDS.get(spec.type, (spec.type,))):
        return False
    if bounds["choices"] and item not in bounds["choices"]:
        return bounds["own"] and ":" in item and _may_be_a_name(item)
    if isinstance(item, bool) or spec.type is bool:
        return type(item) is spec.type
    if isinstance(item, str):
        return _may_be_a_name(item)
    if bounds["above"] and item == bounds["low"]:
        return False
    return bounds["low"] <= item <= bounds["high"]


def _may_be_a_name(text):
    return "\0" not in text and text.encode("utf-8", "replace").decode() == text


def parse_count(text: str) -> int:
    """Read a whole number such as 220000, 220_000, 220k or 1.5M; ValueError for anything else."""
    if match := re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)([kM])", text.strip()):
        return round(float(match[1]) * {"k": 1_000, "M": 1_000_000}[match[2]])
    return int(text)


def merge_settings(base: dict, changes: dict) -> dict:
    """Merge `changes` into `base`; epochs replaces images and vice versa.

    A change of image_size alone also adapts the layers of G and D.
    """
    lengths = {"epochs", "images"}
    replaced = lengths if lengths & changes.keys() else set()
    settings = {name: value for name, value in base.items() if name not in replaced} | changes
    if "epochs" in changes and base.get("lr_decay", "none") != "none":
        settings.setdefault("decay_images", base.get("images", 0))  # the recipe's schedule stays
    if "image_size" in changes and not {"base_size", "g_channels", "d_channels"} & changes.keys():
        settings |= _layers_for(settings)
    return settings


def _layers_for(settings):
    """Drop or repeat the last layers of G and D; a larger first map would have more parameters."""
    names = ("image_size", "base_size", "g_channels", "g_output", "d_channels")
    side, base, g, output, d = (settings.get(name, FIELDS[name].default) for name in names)
    if not (isinstance(side, int) and isinstance(base, int) and 0 < base <= side <= limits.SIDE):
        return {}  # refused later
    doublings = (side // base).bit_length() - 1
    count = doublings - (output == "transposed")
    if base * 2**doublings != side or count < 1 or len(d) + count - len(g) < 1:
        return {}
    g, d, more = list(g), list(d), count - len(g)
    for _ in range(more):
        g.append(g[-1] // 2 if len(g) > 1 and g[-1] < g[-2] else g[-1])
        d.append(d[-1])
    return {"g_channels": g[:count], "d_channels": d[: len(d) + min(more, 0)]}


def expected(name: str) -> str:
    """The values that field `name` accepts, in words."""
    spec = FIELDS[name]
    bounds = spec.metadata
    if bounds["choices"]:
        own = ", or module:Name of your own" if bounds["own"] else ""
        return "one of " + ", ".join(map(str, bounds["choices"])) + own
    if spec.type in (bool, str):
        return "true or false" if spec.type is bool else "a text in UTF-8 without null bytes"
    words = {int: "a whole number", float: "a number"}
    text = words.get(spec.type, f"1 to {LAYERS} whole numbers such as 128,256, each")
    if bounds["above"]:
        return f"{text} above {bounds['low']}, {bounds['high']} at most"
    return f"{text} between {bounds['low']} and {bounds['high']}"


def _show(value):
    listed = isinstance(value, (list, tuple)) and all(type(item) is int for item in value)
    return limits.shorten(",".join(map(limits.shown, value))) if listed else limits.shown(value)


def _check_together(config):
    if config.epochs and config.images:
        got = f"got {config.images} and epochs {config.epochs}"
        raise UserError(
            f"{got}; give one of them and omit the other, or set it to 0", param="images"
        )
    if not config.networks:
        _check_sizes(config)
    kinds = config.augment_kinds
    if not set(kinds) <= set(AUGMENTATIONS) or len(set(kinds)) < len(kinds):
        known = ",".join(AUGMENTATIONS)
        raise UserError(
            f"got {limits.shown(config.augment)}, expected some of {known}", param="augment"
        )
    if (config.r1 or config.r2) and config.d_norm == "batch":
        raise UserError(
            "r1 and r2 penalize D's gradient at single images, but BatchNorm mixes the batch; use "
            "d_norm none, or set r1 and r2 to 0",
            flag="--d-norm batch",
        )
    if config.d_minibatch_std and config.batch_size % config.d_minibatch_std:
        raise UserError(
            f"got groups of {config.d_minibatch_std}, expected a size that divides the batch of "
            f"{config.batch_size}",
            param="d_minibatch_std",
        )
    if config.loss != "non_saturating" and (config.label_smoothing or config.label_noise):
        words = "has no targets for label_smoothing and label_noise; set both to 0, or use the loss"
        raise UserError(f"{words} non_saturating", flag=f"--loss {limits.shorten(config.loss)}")
    if (config.lr_decay != "none" or config.penalty_end < 1) and not config.decay_images:
        words = "got 0, but lr_decay and penalty_end need a number of images; set decay_images"
        raise UserError(words, param="decay_images")


def _check_sizes(config):
    """Refuse a G whose output is not image_size, and a D that halves it too often."""
    side, factor = config.image_size, 2**config.g_doublings
    if 2 ** len(config.d_channels) > side:
        words = f"{len(config.d_channels)} convolutions halve {side} pixels to less than one"
        raise UserError(f"{words}; use {side.bit_length() - 1} or fewer", param="d_channels")
    if config.base_size * factor != side:
        advice = f"base_size {side // factor} would fit"
        if side % factor:
            advice = f"with {config.g_doublings} doublings it must be a multiple of {factor}"
        raise UserError(
            f"base_size {config.base_size} x 2^{config.g_doublings} = {config.base_size * factor}, "
            f"but image_size is {side}; {advice}",
            param="image_size",
        )
    if not 0 < config.batchnorm_momentum < 1:
        words = f"got {config.batchnorm_momentum}, expected a number between 0 and 1, both excluded"
        raise UserError(words, param="batchnorm_momentum")


def _check_color(text):
    if text == "white":  # the default, which needs no Pillow
        return
    from PIL import ImageColor

    try:
        ImageColor.getrgb(text)
    except ValueError:
        words = f"got {limits.shown(text)}, expected a color such as white, black or #20304f"
        raise UserError(words, param="background") from None


def check_crop(text: str, param: str = "crop") -> str:
    """Normalize a crop, "center" or a box; UserError for anything else."""
    if text == "center":
        return text
    try:
        left, upper, right, lower = (int(part) for part in text.split(","))
    except ValueError:
        left = upper = right = lower = 0
    if not (0 <= left < right <= COUNT and 0 <= upper < lower <= COUNT):
        raise UserError(
            f"got {limits.shown(text)}, expected center or left,upper,right,lower "
            f"with left < right and upper < lower, such as {CELEBA_CROP}",
            param=param,
        )
    return f"{left},{upper},{right},{lower}"


def changed_fields(saved: Config, wanted: Config) -> list[str]:
    """The fields that differ although a resumed run may not change them."""
    return [name for name, value in bound_fields(saved).items() if value != getattr(wanted, name)]


def bound_fields(config: Config) -> dict:
    """The fields that a resumed run may not change."""
    return {name: value for name, value in fixed_fields(config).items() if name not in MIDWAY}


def fixed_fields(config: Config) -> dict:
    """The fields that must be equal on all workers and, except MIDWAY, after a resume."""
    return {name: getattr(config, name) for name in FIELDS if name not in _MAY_CHANGE}


def flag(name: str) -> str:
    """The flag of a field, `g_channels` -> `--g-channels`."""
    return "--" + name.replace("_", "-")
