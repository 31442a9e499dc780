"""uint8 pixels to the range of G's output activation and back."""

import numpy as np


def to_float(pixels, activation):
    """Map 0..255 to the range of G's output activation.

    Args:
        pixels: float array or tensor, 0..255.
        activation: "sigmoid" for [0, 1], "tanh" for [-1, 1].

    Returns:
        The same shape and dtype.
    """
    return pixels / 255.0 if activation == "sigmoid" else pixels / 127.5 - 1.0


def to_uint8(values, activation):
    """Map a network's range to 0..255; the exact inverse of `to_float` for all 256 values.

    Args:
        values: float array in [0, 1] (sigmoid) or [-1, 1] (tanh); beyond is clipped.

    Returns:
        uint8 ndarray of the same shape.
    """
    values = np.asarray(values, "float32")
    scaled = values * 255.0 if activation == "sigmoid" else (values + 1.0) * 127.5
    return np.rint(np.clip(scaled, 0, 255)).astype(np.uint8)
