"""What a training takes of the memory, from its config alone: too much is refused beforehand."""

import math
import os

from dcgan_tf.common import limits
from dcgan_tf.common.errors import UserError

_ITEM_BYTES = {"float64": 8, "mixed_float16": 2, "mixed_bfloat16": 2}  # of a feature map; else 4


def generator_parameters(config) -> int:
    """Parameters of `networks.build_generator`, BatchNorm's moving statistics counted."""
    bias = int(config.use_bias)
    channels = config.scaled(config.base_channels)
    base = config.base_size**2 * channels
    count = (config.latent_dim + bias) * base + 4 * channels * config.base_batchnorm
    for wanted in map(config.scaled, config.g_channels):
        count += (16 * channels + bias + 4) * wanted
        channels = wanted
    kernel = 16 if config.g_output == "transposed" else 25
    return count + (kernel * channels + bias) * config.channels


def discriminator_parameters(config) -> int:
    """Parameters of `networks.build_discriminator`, counted in the same way."""
    bias, count, channels, side = int(config.use_bias), 0, config.channels, config.image_size
    for number, wanted in enumerate(map(config.d_scaled, config.d_channels)):
        normalized = config.d_norm == "batch" and (number > 0 or config.d_first_batchnorm)
        count += (16 * channels + bias + 4 * normalized) * wanted
        channels, side = wanted, math.ceil(side / 2)
    return count + side**2 * channels + bias


def map_values(config) -> int:
    """Values in the feature maps of one picture: made in G; in D, beside a real one."""
    wide = [config.base_channels, *config.g_channels]
    g_maps = (s**2 * config.scaled(n) for s, n in zip(config.g_sizes, wide, strict=False))
    d_sizes = (math.ceil(config.image_size / 2**n) for n in range(1, len(config.d_channels) + 1))
    d_maps = (s**2 * config.d_scaled(n) for s, n in zip(d_sizes, config.d_channels, strict=True))
    return sum(g_maps) + 2 * sum(d_maps) + 2 * config.image_size**2 * config.channels


def step_bytes(config) -> int:
    """Bytes of one batch: of each layer the convolution's result and the activation's, at least."""
    return 2 * map_values(config) * config.batch_size * _ITEM_BYTES.get(config.precision, 4)


def training_bytes(config) -> int:
    """Bytes that a training takes at least: a weight, two moments and a gradient a parameter, the
    batch and the program. What a training really takes is one to four times that."""
    parameters = generator_parameters(config) + discriminator_parameters(config)
    weight = 8 if config.precision == "float64" else 4
    # Several workers share a batch, each on a machine of its own.
    batch = 0 if os.environ.get("TF_CONFIG") else step_bytes(config)
    return 4 * weight * parameters + batch + limits.PROGRAM_BYTES


def check_size(config):
    """Raise UserError for networks, a batch or a grid of samples beyond every machine."""
    if config.networks:  # of which the config tells no sizes
        return
    parameters = generator_parameters(config) + discriminator_parameters(config)
    if parameters > limits.PARAMETERS:
        raise UserError(
            f"--width {config.width:g}: G and D would have {parameters:,} parameters, more than "
            f"{limits.PARAMETERS:,}; use a smaller --width, --latent-dim or fewer channels"
        )
    if step_bytes(config) > limits.STEP_BYTES:
        raise UserError(
            f"--batch-size {config.batch_size}: the feature maps of a step would take "
            f"{limits.in_words(step_bytes(config))}, more than "
            f"{limits.in_words(limits.STEP_BYTES)}; use a smaller --batch-size or --width"
        )
    most = limits.GRID_PIXELS // config.image_size**2
    if config.sample_count > most:
        raise UserError(
            f"--sample-count {config.sample_count}: a grid of pictures of {config.image_size}x"
            f"{config.image_size} holds at most {most:,}; generate.py makes any number of files"
        )


def check_memory(config):
    """Raise UserError where a training on the CPU cannot fit into the memory that there is."""
    if config.networks:
        return
    needed, there = training_bytes(config), limits.memory()
    if needed > there:
        raise UserError(
            f"--batch-size {config.batch_size}: this training needs at least "
            f"{limits.in_words(needed)} of memory and there are {limits.in_words(there)}; "
            "use a smaller --batch-size or --width"
        )
