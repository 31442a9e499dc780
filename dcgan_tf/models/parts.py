"""Build the parts of a DCGAN that a config asks for."""

import contextlib
import dataclasses
import importlib
import os
import sys
from collections.abc import Generator
from typing import Any

import keras
import tensorflow as tf

from dcgan_tf.common.config import Config
from dcgan_tf.common.errors import UserError, one_line
from dcgan_tf.common.labels import Labels
from dcgan_tf.models import losses
from dcgan_tf.models.augment import Augment, flip
from dcgan_tf.models.ema import HalfLife
from dcgan_tf.models.networks import build_discriminator, build_generator
from dcgan_tf.models.optimizers import Adam, learning_rate_of
from dcgan_tf.models.penalties import GradientPenalty
from dcgan_tf.models.pixels import range_of
from dcgan_tf.models.xla import use_jit


@contextlib.contextmanager
def precision_of(config: Config) -> Generator[None]:
    """Set Keras to the precision of a config while its networks are built."""
    before = keras.config.floatx(), keras.config.dtype_policy()
    set_precision(config)
    try:
        yield
    finally:
        keras.config.set_floatx(before[0])
        keras.config.set_dtype_policy(before[1])


def set_precision(config: Config) -> None:
    """Set Keras to the precision of a config; auto is float32 here."""
    if config.precision == "float64":
        keras.config.set_floatx("float64")
    keras.config.set_dtype_policy(config.precision.replace("auto", "float32"))


def build_model(kind: Any, config: Config, given: dict[str, Any]) -> Any:
    """Build and compile a `kind` of DCGAN; arguments in `given` replace those of the config."""
    names = ("batch_size", "seed", "fresh_fakes")
    config = dataclasses.replace(config, **{n: given[n] for n in names if n in given})
    parts = {name: getattr(config, name) for name in names}
    parts["loss"] = given.get("loss") or build_loss(config)
    parts["augment"] = flip if config.flip else None
    pair = given.get("generator"), given.get("discriminator")
    networks = pair
    if not all(pair):
        networks = build_networks(config, given.get("networks"), given.get("labels"))
    parts["generator"], parts["discriminator"] = networks
    activation = range_of(networks[0])
    if config.augment:
        chance, ramp = config.augment_probability, config.augment_ramp
        parts["d_augment"] = Augment(config.augment_kinds, chance, ramp, activation)
    if config.r1 or config.r2:
        end, images = config.penalty_end, config.decay_images
        parts["penalty"] = GradientPenalty(config.r1, config.r2, activation, end, images)
    if config.average != "none":
        parts["ema"] = HalfLife(config.average_half_life, config.average_ramp)
    used = ("networks", "labels")
    model = kind(**parts | {name: value for name, value in given.items() if name not in used})
    g_rate, d_rate = config.g_learning_rate, config.d_learning_rate
    rates: list[Any] = [learning_rate_of(config, rate) for rate in (g_rate, d_rate)]
    optimizers = [Adam(rate, config.beta_1, config.beta_2) for rate in rates]
    model.compile(*optimizers, jit_compile=use_jit(config, tf.distribute.get_strategy()))
    return model


def build_networks(
    config: Config, given: Any = None, labels: Labels | None = None
) -> tuple[keras.Model, keras.Model]:
    """Build G and D: `given` ones, those of `config.networks`, or those that the config describes.

    `given` is (generator, discriminator), or a function that returns them. `labels` are those of
    the images, which `config.labels` asks for.
    """
    if config.labels and not labels:
        words = f"got {config.labels!r} without the labels; from_config takes them as labels="
        words += "dcgan_tf.common.labels.Labels.of(names, classes, rows)"
        raise UserError(words, param="labels")
    if given is None and not config.networks:
        synchronized = tf.distribute.get_strategy().num_replicas_in_sync > 1
        both = (build_generator, build_discriminator)
        return tuple(build(config, synchronized, labels) for build in both)  # pyright: ignore
    networks: Any = import_object(config.networks, "networks") if given is None else given
    generator, discriminator = networks() if callable(networks) else networks  # pyright: ignore
    generator.labels = labels
    made, size = generator.output_shape[1:], config.image_size
    if made != (size, size, config.channels):
        raise UserError(
            f"make images of {made}; set image_size (now {size}) and channels "
            f"(now {config.channels}) to that",
            param="networks",
        )
    return generator, discriminator


def import_object(text: str, param: str) -> Any:
    """Import an object by "module:Name", from the current directory or Python's path."""
    module, _, name = text.partition(":")
    if name.endswith(")"):
        raise UserError(
            f"{text} was made by a program; go on there, with dcgan_tf.train({param}=...)",
            param=param,
        )
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise UserError(
            f"got {text}: {one_line(error)}; expected module:Name of a file here or of a package",
            param=param,
        ) from None


def build_loss(config: Config) -> Any:
    """Build the loss that `config.loss` names."""
    if config.loss == "non_saturating":
        return losses.NonSaturating(config.label_smoothing, config.label_noise)
    ours = {"hinge": losses.Hinge, "relativistic": losses.Relativistic}
    return (ours.get(config.loss) or import_object(config.loss, "loss"))()
