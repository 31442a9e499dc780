"""Memory estimate of a training, counted from its networks before they have weights."""

import math
import os
from dataclasses import dataclass

import tensorflow as tf

from dcgan_tf.common import limits
from dcgan_tf.common.config import Config
from dcgan_tf.common.errors import UserError
from dcgan_tf.models.networks import build_discriminator, build_generator

PARAMETERS = 1_000_000_000  # of G and D together; the reference recipe has 4.4 million
STEP_BYTES = 2**40  # feature maps of one step: 1 TiB
PROGRAM_BYTES = 2**29  # of memory: TensorFlow with its libraries
_ITEM_BYTES = {"float64": 8, "mixed_float16": 2, "mixed_bfloat16": 2}  # of a feature map; else 4


@dataclass(frozen=True)
class Footprint:
    """The memory that a training takes at least; really it is one to four times that."""

    parameters: int  # of G and D, BatchNorm's moving statistics counted
    step_bytes: int  # of one batch: each layer's convolution and its activation
    training_bytes: int  # a weight, two moments and a gradient a parameter, batch and program


def footprint(config: Config) -> Footprint:
    """Build both networks as shapes, in a graph of TensorFlow's first kind, and count."""
    with tf.Graph().as_default():
        generator, discriminator = build_generator(config), build_discriminator(config)
        parameters = generator.count_params() + discriminator.count_params()
        # A fake is made in G, and seen by D with a real image.
        values = _values(generator) + 2 * _values(discriminator)
    values += config.image_size**2 * config.channels
    step = 2 * values * config.batch_size * _ITEM_BYTES.get(config.precision, 4)
    weight = 8 if config.precision == "float64" else 4
    # Several workers share a batch, each on a machine of its own.
    batch = 0 if os.environ.get("TF_CONFIG") else step
    return Footprint(parameters, step, 4 * weight * parameters + batch + PROGRAM_BYTES)


def _values(network) -> int:
    """Values in the feature maps of one image."""
    maps = (layer.output.shape for layer in network.layers if hasattr(layer, "kernel"))
    return sum(math.prod(shape[1:]) for shape in maps)


def check_memory(config: Config, on_gpu: bool):
    """Refuse networks or a batch beyond every machine, and on a CPU beyond this one.

    How much memory a GPU has is seen only when it is full.
    """
    if config.networks:  # of which the config tells no sizes
        return
    needed, there = footprint(config), limits.memory()
    message, setting = "", "batch_size"
    if needed.parameters > PARAMETERS:
        setting = "width"
        message = (
            f"G and D would have {needed.parameters:,} parameters, more than "
            f"{PARAMETERS:,}; use a smaller --width, --latent-dim or fewer channels"
        )
    elif needed.step_bytes > STEP_BYTES:
        message = (
            f"the feature maps of a step would take {limits.in_words(needed.step_bytes)}, more "
            f"than {limits.in_words(STEP_BYTES)}; use a smaller --batch-size or --width"
        )
    elif needed.training_bytes > there and not on_gpu:
        message = (
            f"this training needs at least {limits.in_words(needed.training_bytes)} of memory and "
            f"there are {limits.in_words(there)}; use a smaller --batch-size or --width"
        )
    if message:
        flag = f"--{setting.replace('_', '-')} {getattr(config, setting):g}"
        raise UserError(message, flag=flag)
