"""Load networks from `.keras` files; recognize a generator by its input and output."""

import copy
import json
import math
import tempfile
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from dcgan_tf.common import hub, limits, pretrained
from dcgan_tf.common.errors import UserError
from dcgan_tf.common.foreign import open_zip, read_member
from dcgan_tf.common.labels import ENTRY, FILE_BYTES, Labels, labels_of
from dcgan_tf.common.runs import Run
from dcgan_tf.models.chain import layers_of, outputs_of
from dcgan_tf.models.keras_file import CONFIG, read_structure, refusing
from dcgan_tf.models.sampling import CHUNK, Sampler

# In a whole DCGAN's file, the EMA first; "averaged" is its name on disk (gan.py).
GENERATORS = ("averaged", "ema_generator", "generator")
GENERATOR = (
    "one input (n, latent_dim), one output (n, height, width, 1 or 3) of at most "
    f"{limits.SIDE} pixels a side"
)


def load_network(path: str | Path, flag: str = "", parts: tuple[str, ...] = ()) -> keras.Model:
    """Load a network from a `.keras` file, not compiled; no code in it is executed.

    For the other arguments and the errors see `read_structure`.
    """
    path = Path(path)
    structure, weights = read_structure(path, flag, parts)
    with refusing(path, flag):
        _check_size(copy.deepcopy(structure), len(weights))  # Keras changes it while it builds
        network = keras.saving.deserialize_keras_object(structure, safe_mode=True)
        outputs_of(network)
        network.labels = _read_labels(path)
        # Keras' load_model would build the losses of nested networks.
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "network.weights.h5")
            file.write_bytes(weights)
            network.load_weights(file)
    return network


def _read_labels(path: Path):
    """Read the labels of a generator's file, or of a whole DCGAN's; None without any."""
    with open_zip(path) as archive:
        if ENTRY in archive.namelist():
            found = json.loads(read_member(archive, ENTRY, FILE_BYTES))
        else:
            found = json.loads(archive.read(CONFIG)).get("config", {}).get("labels")
    return Labels(**found) if found else None


def load_generator(path: str | Path, flag: str = "") -> Sampler:
    """Open a trained generator.

    Args:
        path: a run's directory, a generator's `.keras` file, the name of a bundled generator,
            such as "faces", or "hf:USER/NAME", a repository of the Hugging Face hub.
        flag: what named it, for the message.

    Raises:
        UserError: no such file, no generator, or NaN weights.

    Examples:
        >>> from dcgan_tf import load_generator
        >>> load_generator("faces").generate(seeds=range(2)).shape
        (2, 64, 64, 3)
    """
    if str(path).startswith(hub.PREFIX):
        path = hub.download(str(path), "generator.keras", flag)
    run = Run(path)
    if str(path) in pretrained.names() and not run.generator.is_file():
        run = pretrained.pretrained(str(path), flag)
    path = run.generator if run.root.is_dir() else Path(path)
    network = load_network(path, flag, GENERATORS)
    model, labels = _with_flat_latents(network), labels_of(network)
    model.labels = labels
    with refusing(path, flag):
        _check_generator(model)
        if labels and labels.n >= model.inputs[0].shape[1]:
            raise UserError(f"has {labels.n} labels, but latents of {model.inputs[0].shape[1]}")
        check_finite(model, "")
        return Sampler(model, strict=True)


def _with_flat_latents(model: Any):
    """Wrap a network as a functional one from any number of latents (n, latent_dim) to images.

    A Sequential that a call has built takes only as many latents as that call had. Generators from
    other libraries may take maps of one pixel, or a dict of one input.
    """
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        return model
    latents, sequential = model.inputs[0], isinstance(model, keras.Sequential)
    if not sequential and not all(hasattr(end, "shape") for end in (model.input, model.output)):
        model = keras.Model(latents, model.outputs[0], name=model.name)
    maps = tuple(latents.shape[1:-1]) == (1, 1)
    if not (sequential or maps):
        return model
    z = keras.Input(latents.shape[-1:] if maps else latents.shape[1:], dtype=latents.dtype)
    x = keras.layers.Reshape(latents.shape[1:])(z) if maps else z
    for layer in model.layers if sequential else [model]:
        x = layer(x)
    return keras.Model(z, x, name=model.name)


def check_finite(network: keras.Model, where: str) -> None:
    """Refuse a network with NaN weights; `where` is the flag and the file, for the message."""
    if not all(np.isfinite(np.asarray(w, np.float32)).all() for w in network.get_weights()):
        raise UserError(
            "has weights that are NaN or infinite: its training went wrong; take an earlier one",
            flag=where,
        )


def in_float32(model: keras.Model) -> keras.Model:
    """Return a network that computes in float32, with the same weights; itself if it does already.

    Half precision is for training; other runtimes support little of it.
    """
    text = model.to_json()
    plain = json.loads(text, object_hook=_to_float32)
    if plain == json.loads(text):
        return model
    same = keras.saving.deserialize_keras_object(plain, safe_mode=True)
    same.set_weights(model.get_weights())
    same.labels = labels_of(model)
    return same


def _to_float32(part: dict[str, Any]):
    is_policy = part.get("class_name") == "DTypePolicy"
    return part | {"config": {"name": "float32"}} if is_policy else part


def _check_generator(model: keras.Model):
    """Raise UserError unless a network is as GENERATOR says."""
    latents, images = model.inputs[0], model.outputs[0]
    size, missing = images.shape[1:], ""
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        missing = f"has {len(model.inputs)} inputs and {len(model.outputs)} outputs"
    elif latents.shape[0] is not None:
        missing = f"takes {latents.shape[0]} latents at once, no other number"
    elif len(latents.shape) != 2 or latents.shape[1] is None:
        missing = f"takes {_words(latents.shape)}"
    elif len(size) != 3 or None in size or size[2] not in (1, 3) or max(size) > limits.SIDE:
        missing = f"gives {_words(images.shape)}"
    elif not all(keras.backend.is_float_dtype(tensor.dtype) for tensor in (latents, images)):
        missing = f"takes {latents.dtype} and gives {images.dtype}, not float"
    if missing:
        raise UserError(f"{missing}; expected a generator: {GENERATOR}")


def _words(shape: Any):
    return f"({', '.join(['n', *('any' if size is None else str(size) for size in shape[1:])])})"


def _check_size(structure: dict[str, Any], weights_bytes: int):
    """Refuse a network that would fill the memory, before it has any weights."""
    with tf.Graph().as_default():  # in which variables have shapes and nothing else
        model = keras.saving.deserialize_keras_object(structure, safe_mode=True)
        parameters = sum(math.prod(weight.shape) for weight in getattr(model, "weights", []))
        largest = max((_values(layer) for layer in layers_of(model)), default=0)
    if parameters > weights_bytes:  # each has at least one byte
        raise UserError(f"has {parameters:,} parameters, but {weights_bytes:,} bytes of weights")
    needed = 2 * 4 * CHUNK * largest  # a layer reads one map of float32 and writes another
    if needed > limits.memory():
        raise UserError(
            f"needs about {limits.in_words(needed)} of memory for {CHUNK} images, "
            f"this machine has {limits.in_words(limits.memory())}"
        )


def _values(layer: Any):
    """The most values that any call of a layer or operation gives for one image."""
    outputs = (tensor for node in layer._inbound_nodes for tensor in node.output_tensors)
    return max((math.prod(filter(None, tensor.shape[1:])) for tensor in outputs), default=0)
