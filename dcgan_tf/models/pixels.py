"""Convert uint8 pixels to the range of G's output activation and back."""

from typing import Any

import numpy as np

from dcgan_tf.common.errors import UserError
from dcgan_tf.models.chain import origin, outputs_of

RANGES = ("sigmoid", "tanh")
# Layers that leave the range of their input as it is.
_PASSING = {"Cropping2D", "Dropout", "Flatten", "Identity", "Permute", "Reshape", "UpSampling2D"}


def range_of(model: Any) -> str:
    """Find the activation at a network's end: "sigmoid" (pixels 0 to 1) or "tanh" (-1 to 1).

    UserError if the network ends in something else.
    """
    layer, name = _last_activation(model)
    if name not in RANGES:
        raise UserError(
            f"ends in {layer.name!r} ({type(layer).__name__}, {name}), so the range of its pixels "
            "is unknown; expected a sigmoid (0 to 1) or a tanh (-1 to 1) at the end of a generator"
        )
    return name


def check_logits(discriminator: Any) -> None:
    """Raise UserError for a discriminator that ends in probabilities instead of logits."""
    layer, name = _last_activation(discriminator)
    if name in ("sigmoid", "hard_sigmoid", "softmax"):
        raise UserError(
            f"the discriminator ends in {layer.name!r} ({type(layer).__name__}, {name}), and the "
            "losses want logits; leave that activation out"
        )


def _last_activation(model: Any):
    """Find the layer that sets the range of a network's output, and its activation's name."""
    layer, node = origin(outputs_of(model)[0])
    while True:
        if getattr(layer, "layers", None) and getattr(layer, "outputs", None):  # a nested network
            return _last_activation(layer)
        kind = type(layer).__name__
        name = getattr(getattr(layer, "activation", None), "__name__", kind.lower())
        before = node.input_tensors
        passing = kind in _PASSING or (kind, name) == ("Activation", "linear")
        if not passing or len(before) != 1:
            return layer, name
        layer, node = origin(before[0])


def to_float(pixels: Any, activation: str) -> Any:
    """Map floats 0..255 to [0, 1] for the activation "sigmoid" of G, to [-1, 1] for "tanh"."""
    return pixels / 255.0 if activation == "sigmoid" else pixels / 127.5 - 1.0


def to_uint8(values: np.ndarray, activation: str) -> np.ndarray:
    """Map G's range to 0..255, clipped; the exact inverse of `to_float` for all 256 values."""
    # Rounded, not truncated: truncation is off by one for half of the values.
    values = np.asarray(values, "float32")
    scaled = values * 255.0 if activation == "sigmoid" else (values + 1.0) * 127.5
    return np.rint(np.clip(scaled, 0, 255)).astype(np.uint8)
