"""Networks from `.keras` files; a generator is known by what it takes and gives."""

import math
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from dcgan_tf.common import limits, pretrained
from dcgan_tf.common.errors import UserError, one_line
from dcgan_tf.common.runs import Run
from dcgan_tf.models.keras_file import read_structure
from dcgan_tf.models.sampling import CHUNK, Sampler

GENERATOR = "one input (n, latent_dim), one output (n, height, width, 1 or 3)"


def load_network(path: str | Path, flag: str = "") -> keras.Model:
    """Load a network from a `.keras` file; no code in it is executed.

    Args:
        path: the file; flag: what named it, for the message.

    Returns:
        keras.Model, not compiled.

    Raises:
        UserError: there is no such file, it is no Keras model, or the memory is too small for it.
    """
    structure, weights_bytes = read_structure(Path(path), flag)
    try:
        _check_size(structure, weights_bytes)
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    except UserError as error:
        raise UserError(error.message, flag=f"{flag} {path}".strip()) from None
    except Exception as error:  # Keras raises many kinds for files that are no models
        message = f"not a Keras model file ({one_line(error)})"
        raise UserError(message, flag=f"{flag} {path}".strip()) from None


def load_generator(path: str | Path, flag: str = "") -> Sampler:
    """Open a trained generator: `load_generator("runs/demo").generate(range(64))`.

    Args:
        path: a run's directory, a generator's `.keras` file, or the name of one that comes with
            the package, such as "faces".
        flag: what named it, for the message.

    Returns:
        Sampler: its `generate` gives uint8 pictures (n, height, width, channels), whatever the
        recipe; `latent_dim` is the length of a latent.

    Raises:
        UserError: no such file, no generator (the message says what is missing), NaN weights.

    Example:

    >>> from dcgan_tf import load_generator
    >>> load_generator("faces").generate(seeds=range(2)).shape
    (2, 64, 64, 3)
    """
    run = Run(path)
    if str(path) in pretrained.names() and not run.generator.is_file():
        run = pretrained.pretrained(str(path), flag)
    path = run.generator if run.root.is_dir() else Path(path)
    model = load_network(path, flag)
    where = f"{flag} {path}".strip()
    if missing := not_a_generator(model):
        raise UserError(f"{missing}; expected a generator: {GENERATOR}", flag=where)
    check_finite(model, where)
    try:
        return Sampler(model, strict=True)
    except UserError as error:
        raise UserError(error.message, flag=where) from None


def check_finite(network: keras.Model, where: str):
    """Refuse a network whose weights are no numbers.

    Args:
        where: the flag and the file that named it, for the message.
    """
    if not all(np.isfinite(np.asarray(w, np.float32)).all() for w in network.get_weights()):
        raise UserError(
            "has weights that are NaN or infinite: its training went wrong; take an earlier one",
            flag=where,
        )


def in_float32(model: keras.Model) -> keras.Model:
    """A network that computes in float32, of the same weights: itself, where it does already.

    Half precision is for training; other runtimes know little of it.
    """
    config = keras.saving.serialize_keras_object(model)
    plain = _without_policies(config)
    if plain == config:
        return model
    same = keras.saving.deserialize_keras_object(plain, safe_mode=True)
    same.set_weights(model.get_weights())
    return same


def _without_policies(part):
    """A part of a network's config in which every layer's dtype is float32."""
    if isinstance(part, list):
        return [_without_policies(item) for item in part]
    if not isinstance(part, dict):
        return part
    if part.get("class_name") == "DTypePolicy":
        return part | {"config": {"name": "float32"}}
    return {key: _without_policies(value) for key, value in part.items()}


def not_a_generator(model: keras.Model) -> str:
    """What keeps a network from being a generator, in words; "" where nothing does."""
    inputs, outputs = getattr(model, "inputs", None), getattr(model, "outputs", None)
    if not inputs or not outputs:
        return "was saved before it was built"
    if len(inputs) != 1:
        return f"has {len(inputs)} inputs"
    if len(outputs) != 1 or not hasattr(model.output, "shape"):
        return f"has {len(outputs)} outputs, or one that is not a plain array"
    return _wrong_input(inputs[0]) or _wrong_output(outputs[0])


def _wrong_input(latents):
    if len(latents.shape) != 2:
        return f"takes {_words(latents.shape)}"
    if latents.shape[1] is None:
        return "takes latents of any length"
    if latents.shape[0] is not None:
        return f"takes {latents.shape[0]} latents at once, no other number"
    return "" if _is_float(latents) else f"takes {latents.dtype}, not float"


def _wrong_output(pictures):
    _, *size = pictures.shape
    if len(size) != 3:
        return f"gives {_words(pictures.shape)}"
    if None in size:
        return f"gives pictures of any size, {_words(pictures.shape)}"
    if size[2] not in (1, 3):
        first = size[0] in (1, 3)
        what = "channels first" if first else f"{size[2]} channels"
        return f"gives pictures with {what}, {_words(pictures.shape)}"
    if max(size) > limits.SIDE:
        return f"gives {_words(pictures.shape)}, more than {limits.SIDE} pixels a side"
    return "" if _is_float(pictures) else f"gives {pictures.dtype}, not float"


def _is_float(tensor):
    return keras.backend.is_float_dtype(tensor.dtype)


def _words(shape):
    return (
        "(" + ", ".join(["n", *("any" if size is None else str(size) for size in shape[1:])]) + ")"
    )


def _check_size(structure, weights_bytes):
    """Refuse a network that the memory is too small for, before there are any weights.

    In a graph of TensorFlow's first kind variables have shapes and nothing else.
    """
    with tf.Graph().as_default():
        model = keras.saving.deserialize_keras_object(structure, safe_mode=True)
        parameters = sum(math.prod(weight.shape) for weight in getattr(model, "weights", []))
        largest = max((_numbers(layer) for layer in getattr(model, "layers", [])), default=0)
    if parameters > weights_bytes:  # a byte each is the least
        raise UserError(f"has {parameters:,} parameters, but {weights_bytes:,} bytes of weights")
    needed = 2 * 4 * CHUNK * largest  # a layer reads one map of float32 and writes another
    if needed > limits.memory():
        raise UserError(
            f"needs about {limits.in_words(needed)} of memory for {CHUNK} pictures, "
            f"this machine has {limits.in_words(limits.memory())}"
        )


def _numbers(layer):
    """int: how many numbers a layer gives for one picture, where that is known."""
    shape = getattr(getattr(layer, "output", None), "shape", None) or (None,)
    return math.prod(size for size in shape[1:] if size)
