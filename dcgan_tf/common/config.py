"""Every choice that a run can make: one flat, frozen record with its defaults and its limits.

The defaults of all fields are the reference recipe, `configs/celeba.toml`. A config file and flags
(see flags.py) override them. This module imports neither TensorFlow nor NumPy, so that a wrong
value is refused at once.
"""

import json
import tomllib
from dataclasses import dataclass, field, fields, replace
from pathlib import Path

from dcgan_tf.common.errors import UserError, unknown

CELEBA_CROP = "30,55,150,175"
CELEBA_SIZE = (178, 218)  # width, height of every aligned CelebA picture
ALIGNED_DATASETS = ("celeba", "demo")


def _option(default, help, *, low=None, above=None, high=None, choices=None, may_change=False):
    limits = {"low": low, "above": above, "high": high, "choices": choices}
    return field(default=default, metadata={"help": help, "may_change": may_change, **limits})


@dataclass(frozen=True)
class Config:
    """The resolved settings of one run. Field by field: `python train.py --help`."""

    # The pictures
    dataset: str = _option(
        "celeba",
        "what the pictures are; folder = any pictures of your own",
        choices=("celeba", "folder", "mnist", "cifar10", "demo"),
    )
    data: str = _option(
        "", "where they are: a zip, a folder or tfds (empty: look around)", may_change=True
    )
    subset: int = _option(0, "train on this many pictures, chosen by subset_seed (0: all)", low=0)
    subset_seed: int = _option(0, "seed of that choice", low=0, high=2**32 - 1)
    crop: str = _option("auto", "left,upper,right,lower, or center; auto: the dataset's own")
    image_size: int = _option(64, "height and width of the training pictures, pixels", low=4)
    channels: int = _option(3, "3 for colour, 1 for grey", choices=(1, 3))
    flip: bool = _option(False, "mirror each real picture left-right at random")
    max_bad: float = _option(
        0.1, "share of unusable files that is skipped; more stops the run", low=0, high=1
    )
    packs: str = _option("data/packs", "folder that keeps the prepared pictures", may_change=True)

    # The networks
    width: float = _option(1.0, "factor on every channel count (the latent stays)", above=0)
    latent_dim: int = _option(128, "length of the latent vector", low=1)
    base_size: int = _option(8, "G: side of the first feature map, pixels", low=1)
    base_channels: int = _option(128, "G: channels of the first feature map", low=1)
    base_batchnorm: bool = _option(False, "G: BatchNorm and activation on the first feature map")
    g_channels: tuple[int, ...] = _option(
        (128, 256, 512), "G: channels of its transposed convolutions, each doubling the side", low=1
    )
    g_activation: str = _option(
        "leaky_relu", "G: activation after BatchNorm", choices=("leaky_relu", "relu")
    )
    g_output: str = _option(
        "conv",
        "G: what makes the picture, a 5x5 convolution or one more doubling transposed one",
        choices=("conv", "transposed"),
    )
    output_activation: str = _option(
        "sigmoid",
        "G: last activation; it fixes the pixel range, sigmoid [0,1], tanh [-1,1]",
        choices=("sigmoid", "tanh"),
    )
    d_channels: tuple[int, ...] = _option(
        (64, 128, 128), "D: channels of its convolutions, each halving the side", low=1
    )
    d_first_batchnorm: bool = _option(True, "D: BatchNorm after the first convolution as well")
    use_bias: bool = _option(True, "biases in dense and convolution layers")
    leaky_slope: float = _option(0.2, "slope of LeakyReLU below zero", low=0, high=1)
    init_stddev: float = _option(0.02, "standard deviation of the initial weights", above=0)
    batchnorm_momentum: float = _option(0.9, "BatchNorm momentum", low=0, high=1)

    # The training
    epochs: int = _option(200, "passes over the pictures", low=1, may_change=True)
    batch_size: int = _option(32, "pictures per step, over all devices together", low=2)
    g_learning_rate: float = _option(1e-4, "G: Adam's learning rate", above=0)
    d_learning_rate: float = _option(1e-4, "D: Adam's learning rate", above=0)
    beta_1: float = _option(0.5, "Adam's beta_1, G and D", low=0, high=0.9999)
    beta_2: float = _option(0.999, "Adam's beta_2, G and D", low=0, high=0.999999)
    label_smoothing: float = _option(
        0.0, "D's target for reals is 1 minus this (one-sided)", low=0, high=0.5
    )
    label_noise: float = _option(
        0.0, "D's targets move towards 1/2 by up to this, at random", low=0, high=0.5
    )
    fresh_fakes: bool = _option(False, "draw new fakes for G's step instead of reusing D's")
    seed: int = _option(0, "seed of everything random in a run", low=0, high=2**31 - 1)
    init_from: str = _option("", "start from a run's G and D, or from G.keras,D.keras")

    # The machine
    strategy: str = _option(
        "auto",
        "how devices share the work",
        choices=("auto", "none", "mirrored", "multiworker"),
        may_change=True,
    )
    precision: str = _option(
        "float32",
        "what the layers compute in (weights and losses never below float32)",
        choices=("float32", "mixed_bfloat16", "mixed_float16", "float64"),
    )
    jit: str = _option(
        "auto",
        "XLA; auto: on for one GPU, else off",
        choices=("auto", "on", "off"),
        may_change=True,
    )
    deterministic: bool = _option(False, "only reproducible kernels, also on a GPU (slower there)")

    # What a run writes
    sample_every: int = _option(1, "epochs between sample grids", low=1, may_change=True)
    sample_count: int = _option(64, "pictures in a sample grid", low=1, may_change=True)
    checkpoint_every: int = _option(1, "epochs between checkpoints", low=1, may_change=True)
    checkpoint_steps: int = _option(
        0, "steps between checkpoints within an epoch (0: none)", low=0, may_change=True
    )
    checkpoint_minutes: float = _option(
        10.0, "minutes between checkpoints within an epoch (0: none)", low=0, may_change=True
    )
    keep_checkpoints: int = _option(3, "how many checkpoints stay on disk", low=1, may_change=True)
    tensorboard: bool = _option(True, "write TensorBoard events", may_change=True)
    score_every: int = _option(
        0, "epochs between scores of the samples (0: none)", low=0, may_change=True
    )
    score_samples: int = _option(
        1000, "pictures that are scored, and real ones beside them", low=16, may_change=True
    )
    inception: str = _option(
        "", "Inception weights for the scores (empty: download them)", may_change=True
    )

    @property
    def g_sizes(self):
        """list[int]: sides of G's feature maps, from the first one to the picture, pixels."""
        return [self.base_size * 2**i for i in range(self.g_doublings + 1)]

    @property
    def g_doublings(self):
        """int: how many transposed convolutions double the side."""
        return len(self.g_channels) + (self.g_output == "transposed")

    @property
    def crop_box(self):
        """tuple[int, int, int, int] | None: left, upper, right, lower; None for a centre crop."""
        return None if self.crop == "center" else tuple(map(int, self.crop.split(",")))

    def scaled(self, channels):
        """int: a channel count times `width`, at least 1."""
        return max(1, round(channels * self.width))


FIELDS = {f.name: f for f in fields(Config)}


def check_value(name, value):
    """Raise UserError unless `value` has the type and lies in the limits of field `name`."""
    spec = FIELDS[name]
    items = value if spec.type == tuple[int, ...] else (value,)
    kinds = {float: (int, float), tuple[int, ...]: (int,)}.get(spec.type, (spec.type,))
    limits = spec.metadata
    good = bool(items) and all(
        isinstance(item, kinds)
        and (spec.type is bool) == isinstance(item, bool)
        and (limits["choices"] is None or item in limits["choices"])
        and (limits["low"] is None or item >= limits["low"])
        and (limits["above"] is None or item > limits["above"])
        and (limits["high"] is None or item <= limits["high"])
        and (spec.type is not float or abs(item) < float("inf"))
        for item in items
    )
    if not good:
        raise UserError(f"{flag(name)}: got {show(value)}, expected {expected(name)}")


def expected(name):
    """str: what field `name` takes, in words."""
    spec = FIELDS[name]
    if spec.metadata["choices"]:
        return "one of " + ", ".join(map(str, spec.metadata["choices"]))
    words = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}
    text = words.get(spec.type, "whole numbers such as 128,256")
    if spec.metadata["low"] is not None:
        text += f", {spec.metadata['low']} or more"
    if spec.metadata["above"] is not None:
        text += f" above {spec.metadata['above']}"
    if spec.metadata["high"] is not None:
        text += f", {spec.metadata['high']} at most"
    return text


def resolve(config):
    """Fill in what depends on other fields and check what no field can tell alone.

    Returns:
        Config: the same settings, `crop` made explicit.

    Raises:
        UserError: sizes that do not fit each other, or an unreadable crop.
    """
    if config.crop == "auto":
        own = CELEBA_CROP if config.dataset in ALIGNED_DATASETS else "center"
        config = replace(config, crop=own)
    if config.crop != "center":
        config = replace(config, crop=check_crop(config.crop))
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
    return config


def check_crop(text, flag="--crop"):
    """str: a crop box in its plain spelling; UserError, naming `flag`, where it is none."""
    try:
        left, upper, right, lower = (int(part) for part in text.split(","))
    except ValueError:
        left = upper = right = lower = 0
    if not (0 <= left < right and 0 <= upper < lower):
        raise UserError(
            f"{flag}: got {text!r}, expected center or left,upper,right,lower "
            f"with left < right and upper < lower, such as {CELEBA_CROP}"
        )
    return f"{left},{upper},{right},{lower}"


def _size_advice(config):
    factor = 2**config.g_doublings
    if config.image_size % factor == 0:
        return f"base_size {config.image_size // factor} would fit"
    return f"image_size must be a multiple of {factor} with {config.g_doublings} doublings in G"


def changed_fields(saved, wanted):
    """list[str]: fields that differ and that a resumed run may not change."""
    return [name for name, value in fixed_fields(saved).items() if value != getattr(wanted, name)]


def fixed_fields(config):
    """dict: the fields that make a training what it is: at a resume and on all workers the same."""
    return {n: getattr(config, n) for n, f in FIELDS.items() if not f.metadata["may_change"]}


def to_toml(config):
    """str: the whole config as TOML, one commented line a field."""
    lines = [
        f"{name} = {_toml_value(getattr(config, name))}  # {spec.metadata['help']}"
        for name, spec in FIELDS.items()
    ]
    return "\n".join(lines) + "\n"


def _toml_value(value):
    return json.dumps(list(value) if isinstance(value, tuple) else value, ensure_ascii=False)


def flag(name):
    """str: the flag of a field, `g_channels` -> `--g-channels`."""
    return "--" + name.replace("_", "-")


def show(value):
    """str: a value as the user would write it on the command line."""
    return ",".join(map(str, value)) if isinstance(value, (list, tuple)) else repr(value)


def _configs():
    """Path: the folder of the configs: in the package if that is installed, else beside it."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "configs"
    return installed if installed.is_dir() else package.parent / "configs"


CONFIGS = _configs()


def names():
    """list[str]: the configs that come with the project."""
    return sorted(path.stem for path in CONFIGS.glob("*.toml"))


def find_config(named):
    """Path: the file of a config given by name (`demo`) or by path (`my/own.toml`)."""
    for path in (CONFIGS / f"{named}.toml", Path(named)):
        if path.is_file():
            return path
    raise UserError(unknown("config", named, names()) + f"; there are {', '.join(names())}")


def read_config(path):
    """Read a TOML file on top of the defaults.

    Args:
        path: a file that states only what differs from the defaults.

    Returns:
        Config: not yet resolved.

    Raises:
        UserError: broken TOML, an unknown key, a wrong type or value; the file is named.
    """
    try:
        table = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"{path}: not valid TOML: {error}; mend the file") from None
    except UnicodeDecodeError:
        raise UserError(f"{path}: not a text file; expected TOML in UTF-8") from None
    for key, value in table.items():
        if key not in FIELDS:
            raise UserError(f"{path}: {unknown('key', key, FIELDS)}")
        if isinstance(value, list):
            value = ",".join(map(str, value)) if FIELDS[key].type is str else tuple(value)
            table[key] = value
        elif FIELDS[key].type == tuple[int, ...]:
            raise UserError(f"{path}: {key}: got {value!r}, expected a list of whole numbers")
        try:
            check_value(key, value)
        except UserError as error:
            raise UserError(f"{path}: {error}") from None
    return replace(Config(), **table)
