"""Every setting of a run: one flat, frozen record with defaults and limits.

The defaults are the reference recipe, `configs/celeba.toml`, except `subset`: all images. A config
file (config_file.py) and flags (train/command.py) override them.
"""

import numbers
import os
from dataclasses import dataclass, field, fields

from dcgan_tf.common import limits
from dcgan_tf.common.datasets import DATASETS
from dcgan_tf.common.errors import UserError
from dcgan_tf.common.resolve import check_crop, check_settings

# `own`: module:Name is one of the choices; `may_change`: when a run resumes; `group`: the heading
# in --help and config.toml that begins with the field.
_NO_LIMITS = {"low": None, "above": None, "high": None, "choices": None}
_PLAIN = _NO_LIMITS | {"own": False, "may_change": False, "group": None}


def _option(default, help: str, **more):
    return field(default=default, metadata=_PLAIN | {"help": help} | more)


@dataclass(frozen=True)
class Config:
    """The settings of one training; `python train.py --help` describes each field.

    Lists become tuples, paths become strings, and `crop="auto"` becomes the data set's own crop.

    Raises:
        UserError: a wrong type or value, or settings that do not fit each other.

    Example:

    >>> from dcgan_tf import Config
    >>> config = Config(width=0.25, image_size=32, base_size=4, loss="hinge")
    >>> config.g_sizes
    [4, 8, 16, 32]
    """

    dataset: str = _option(
        "celeba",
        "data set; folder: image files of your own",
        choices=tuple(DATASETS),
        group="Turned most often",
    )
    data: str = _option(
        "",
        "where the images are: zip, folder, tfds or kaggle (empty: usual places)",
        may_change=True,
    )
    subset: int = _option(0, "number of training images, chosen by subset_seed (0: all)", low=0)
    epochs: int = _option(200, "passes over the training images", low=1, may_change=True)
    batch_size: int = _option(
        32, "images per step, over all devices together", low=2, high=limits.BATCH
    )
    width: float = _option(
        1.0,
        "factor on every channel count (the latent size is unchanged)",
        low=1e-6,
        high=limits.WIDTH,
    )
    seed: int = _option(
        0, "seed of the weights, latents, shuffling and augmentation", low=0, high=2**31 - 1
    )

    subset_seed: int = _option(
        0, "seed that chooses the images of a subset", low=0, high=2**32 - 1, group="The images"
    )
    crop: str = _option(
        "auto", "crop box left,upper,right,lower in pixels, or center; auto: the data set's own"
    )
    image_size: int = _option(
        64, "height and width of the training images, pixels", low=4, high=limits.SIDE
    )
    channels: int = _option(3, "color channels: 3 for RGB, 1 for gray", choices=(1, 3))
    flip: bool = _option(False, "mirror each real image left-right at random")
    max_bad: float = _option(
        0.1, "largest fraction of unusable files that is skipped", low=0, high=1
    )
    max_pixels: float = _option(
        limits.MEGAPIXELS,
        "largest image that is decoded, megapixels; larger ones are skipped",
        above=0,
        high=limits.MEGAPIXELS_MOST,
    )
    packs: str = _option("data/packs", "folder that keeps the prepared images", may_change=True)

    latent_dim: int = _option(
        128, "length of the latent vector", low=1, high=limits.LATENT, group="The networks"
    )
    base_size: int = _option(8, "G: side of the first feature map, pixels", low=1, high=limits.SIDE)
    base_channels: int = _option(
        128, "G: channels of the first feature map", low=1, high=limits.CHANNELS
    )
    base_batchnorm: bool = _option(False, "G: BatchNorm and activation on the first feature map")
    g_channels: tuple[int, ...] = _option(
        (128, 256, 512),
        "G: channels of its transposed convolutions, each of which doubles the side",
        low=1,
        high=limits.CHANNELS,
    )
    g_activation: str = _option(
        "leaky_relu", "G: activation after BatchNorm", choices=("leaky_relu", "relu")
    )
    g_output: str = _option(
        "conv",
        "G: last layer, a 5x5 convolution or one more doubling transposed convolution",
        choices=("conv", "transposed"),
    )
    output_activation: str = _option(
        "sigmoid",
        "G: last activation, which sets the pixel range: sigmoid [0,1], tanh [-1,1]",
        choices=("sigmoid", "tanh"),
    )
    d_channels: tuple[int, ...] = _option(
        (64, 128, 128),
        "D: channels of its convolutions, each of which halves the side",
        low=1,
        high=limits.CHANNELS,
    )
    d_width: float = _option(
        0.0, "D: factor on its channel counts (0: width)", low=0, high=limits.WIDTH
    )
    d_norm: str = _option(
        "batch", "D: normalization; spectral: of its weights", choices=("batch", "none", "spectral")
    )
    d_first_batchnorm: bool = _option(True, "D: BatchNorm after its first convolution too")
    use_bias: bool = _option(True, "biases in dense and convolution layers")
    leaky_slope: float = _option(0.2, "slope of LeakyReLU below zero", low=0, high=1)
    init_stddev: float = _option(
        0.02, "standard deviation of the initial weights", low=1e-6, high=100
    )
    batchnorm_momentum: float = _option(0.9, "BatchNorm momentum", low=0, high=1)

    networks: str = _option(
        "", "module:function that returns your own G and D (empty: built from the settings)"
    )

    g_learning_rate: float = _option(
        1e-4, "G: Adam's learning rate", low=1e-38, high=1e30, group="The training"
    )
    d_learning_rate: float = _option(1e-4, "D: Adam's learning rate", low=1e-38, high=1e30)
    lr_decay: str = _option(
        "none",
        "learning-rate schedule of G and D over decay_images",
        choices=("none", "linear", "cosine"),
    )
    lr_end: float = _option(
        0.1, "final learning rate as a fraction of the initial one", low=0, high=1
    )
    decay_images: int = _option(
        0, "images over which lr_decay and penalty_end take effect (0: off)", low=0
    )
    beta_1: float = _option(0.5, "Adam's beta_1, G and D", low=0, high=0.9999)
    beta_2: float = _option(0.999, "Adam's beta_2, G and D", low=0, high=0.999999)
    loss: str = _option(
        "non_saturating",
        "loss of D and G; relativistic: D compares each fake with a real image",
        choices=("non_saturating", "hinge", "relativistic"),
        own=True,
    )
    r1: float = _option(
        0.0,
        "weight of the gradient penalty on real images (needs d_norm none or spectral)",
        low=0,
        high=1e6,
    )
    r2: float = _option(
        0.0,
        "weight of the gradient penalty on fake images (needs d_norm none or spectral)",
        low=0,
        high=1e6,
    )
    penalty_end: float = _option(
        1.0, "final r1 and r2 as a fraction of the initial ones", low=1e-6, high=1
    )
    augment: str = _option(
        "", "augmentation of real and fake images before D: some of flip,shift,colour,cutout"
    )
    augment_probability: float = _option(1.0, "probability of each augmentation", low=0, high=1)
    augment_ramp: int = _option(
        0, "images over which the augmentation probability rises from 0 (0: no ramp)", low=0
    )
    label_smoothing: float = _option(
        0.0,
        "one-sided label smoothing: D's target for real images is 1 minus this",
        low=0,
        high=0.5,
    )
    label_noise: float = _option(
        0.0, "label noise: D's targets move towards 1/2 by up to this, at random", low=0, high=0.5
    )
    fresh_fakes: bool = _option(False, "draw new latents for G's step instead of reusing D's")
    average: str = _option(
        "none", "EMA of G's weights, with which images are generated", choices=("none", "half_life")
    )
    average_half_life: float = _option(4000.0, "EMA half-life in images", above=0, high=1e12)
    average_ramp: float = _option(
        0.05, "EMA half-life at most this fraction of the images seen (0: no ramp)", low=0, high=1
    )
    init_from: str = _option("", "initial networks: a run, G.keras,D.keras or pretrained:faces")

    device: str = _option(
        "auto",
        "device; auto: the GPU where there is one; gpu: no training without; cpu: no GPU",
        choices=("auto", "gpu", "cpu"),
        may_change=True,
        group="The machine",
    )
    strategy: str = _option(
        "auto",
        "distribution of the work over devices",
        choices=("auto", "none", "mirrored", "multiworker"),
        may_change=True,
    )
    precision: str = _option(
        "float32",
        "precision of the layers (weights and losses never below float32); auto: mixed_bfloat16 "
        "where a trial of two steps is faster, else float32",
        choices=("float32", "mixed_bfloat16", "mixed_float16", "float64", "auto"),
    )
    jit: str = _option(
        "auto",
        "XLA compilation; auto: on for a single GPU with XLA support",
        choices=("auto", "on", "off"),
        may_change=True,
    )
    deterministic: bool = _option(
        False, "use only reproducible kernels, also on a GPU (slower there)"
    )

    sample_every: int = _option(
        1, "epochs between sample grids", low=1, may_change=True, group="What a run writes"
    )
    sample_count: int = _option(64, "images in a sample grid", low=1, may_change=True)
    checkpoint_every: int = _option(1, "epochs between checkpoints", low=1, may_change=True)
    checkpoint_steps: int = _option(
        0, "steps between additional checkpoints (0: none)", low=0, may_change=True
    )
    checkpoint_minutes: float = _option(
        10.0, "minutes between additional checkpoints (0: none)", low=0, may_change=True
    )
    keep_checkpoints: int = _option(3, "number of checkpoints kept on disk", low=1, may_change=True)
    tensorboard: bool = _option(True, "write TensorBoard events", may_change=True)
    score_every: int = _option(
        0, "epochs between scores of the samples (0: none)", low=0, may_change=True
    )
    score_samples: int = _option(
        1000, "generated images that are scored, against as many real ones", low=16, may_change=True
    )
    inception: str = _option(
        "", "Inception weights for the scores (empty: download them)", may_change=True
    )

    def __post_init__(self):
        self._check_fields()
        check_settings(self)

    def _check_fields(self):
        for name in FIELDS:
            value = _plain(getattr(self, name))
            check_value(name, value)
            object.__setattr__(self, name, value)
        crop = DATASETS[self.dataset].crop if self.crop == "auto" else self.crop
        object.__setattr__(self, "crop", check_crop(crop))

    @property
    def g_sizes(self) -> list[int]:
        """Sides of G's feature maps, from the first one to the image, pixels."""
        return [self.base_size * 2**i for i in range(self.g_doublings + 1)]

    @property
    def g_doublings(self) -> int:
        """Number of transposed convolutions that double the side."""
        return len(self.g_channels) + (self.g_output == "transposed")

    @property
    def crop_box(self) -> tuple[int, ...] | None:
        """Left, upper, right, lower, pixels; None for a center crop."""
        return None if self.crop == "center" else tuple(map(int, self.crop.split(",")))

    @property
    def augment_kinds(self) -> tuple[str, ...]:
        return tuple(kind.strip() for kind in self.augment.split(",") if kind.strip())

    def scaled(self, channels: int) -> int:
        """A channel count of G times `width`, at least 1."""
        return max(1, round(channels * self.width))

    def d_scaled(self, channels: int) -> int:
        """A channel count of D times `d_width`, or `width` where that is 0; at least 1."""
        return max(1, round(channels * (self.d_width or self.width)))


class ImageConfig(Config):
    """Settings of which only those about images count: no network has to fit them."""

    def __post_init__(self):
        self._check_fields()


FIELDS = {f.name: f for f in fields(Config)}
_KINDS = {float: (int, float), tuple[int, ...]: (int,)}


def groups() -> dict[str, list[str]]:
    """The names of the fields under their headings, in the order of the record."""
    found: dict[str, list[str]] = {}
    for name, spec in FIELDS.items():
        found.setdefault(spec.metadata["group"] or list(found)[-1], []).append(name)
    return found


# What a resumed run may change although it decides the weights: each change is recorded with its
# step in config.toml (train/changes.py).
MIDWAY = ("g_learning_rate", "d_learning_rate")


def _plain(value):
    """Convert lists, paths and the numbers of NumPy to the kinds of the fields."""
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
    if not 0 < len(items) <= limits.LAYERS or not all(_fits(spec, item) for item in items):
        raise UserError(f"got {show(value)}, expected {expected(name)}", param=name)


def _fits(spec, item):
    bounds = spec.metadata
    if not isinstance(item, _KINDS.get(spec.type, (spec.type,))):
        return False
    if bounds["choices"] is not None and item not in bounds["choices"]:
        return bounds["own"] and ":" in item and _may_be_a_name(item)
    if isinstance(item, bool) or spec.type is bool:
        return type(item) is spec.type
    if isinstance(item, str):
        return _may_be_a_name(item)
    above = bounds["above"] is None or item > bounds["above"]
    low = bounds["low"] is None or item >= bounds["low"]
    return above and low and item <= (bounds["high"] or limits.COUNT)


def _may_be_a_name(text):
    return "\0" not in text and text.encode("utf-8", "replace").decode() == text


def expected(name: str) -> str:
    """What field `name` takes, in words."""
    spec = FIELDS[name]
    bounds = spec.metadata
    if bounds["choices"]:
        own = ", or module:Name of your own" if bounds["own"] else ""
        return "one of " + ", ".join(map(str, bounds["choices"])) + own
    if spec.type in (bool, str):
        return "true or false" if spec.type is bool else "a text in UTF-8 without null bytes"
    words = {int: "a whole number", float: "a number"}
    text = words.get(spec.type, f"1 to {limits.LAYERS} whole numbers such as 128,256, each")
    high = bounds["high"] or limits.COUNT
    if bounds["above"] is not None:
        return f"{text} above {bounds['above']}, {high} at most"
    return f"{text} between {bounds['low']} and {high}"


def changed_fields(saved: Config, wanted: Config) -> list[str]:
    """Fields that differ and that a resumed run may not change."""
    return [name for name, value in bound_fields(saved).items() if value != getattr(wanted, name)]


def bound_fields(config: Config) -> dict:
    """The fields that a resumed run may not change."""
    return {name: value for name, value in fixed_fields(config).items() if name not in MIDWAY}


def fixed_fields(config: Config) -> dict:
    """The fields that make a training what it is: at a resume and on all workers the same."""
    return {n: getattr(config, n) for n, f in FIELDS.items() if not f.metadata["may_change"]}


def flag(name: str) -> str:
    """The flag of a field, `g_channels` -> `--g-channels`."""
    return "--" + name.replace("_", "-")


def show(value) -> str:
    """A value as the user would write it on the command line; the beginning of a long one."""
    listed = isinstance(value, (list, tuple)) and all(type(item) is int for item in value)
    return limits.shorten(",".join(map(limits.shown, value))) if listed else limits.shown(value)
