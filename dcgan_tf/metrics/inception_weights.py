"""Read the weights of `inception-2015-12-05`.

They are a dict {node name: float32 array}: "mixed/tower/conv/kernel" (HWIO) and
"mixed/tower/conv/bias" for each of the 94 convolutions, batch norm folded in, and
"softmax/weights" [2048, 1008]. A file may stop after `mixed_7`.
"""

import gzip
import io
import os
import tarfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError

from dcgan_tf.common.errors import UserError, one_line
from dcgan_tf.common.foreign import open_zip, read_array, read_file, read_member
from dcgan_tf.metrics.inception_network import SOFTMAX, Shape, weight_shapes

INCEPTION_BYTES = 2**28  # of weights, on disk and unpacked; the real ones have 96 MB
GRAPH_NAME = "classify_image_graph_def.pb"


def read_weights(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """Read an .npz, or the .tgz with a GraphDef; no more is unpacked than the network can need.

    UserError if the file is missing, damaged, too large, or lacks a weight.
    """
    try:
        content = read_file(path, INCEPTION_BYTES)
        is_zip = content.startswith(b"PK\x03\x04")
        return _read_npz(content) if is_zip else _read_graph(_unpack_graph(content))
    # All that the readers of zip, gzip, tar and protobuf raise; BadFile is a ValueError.
    except (
        *(DecodeError, tarfile.TarError, zlib.error, EOFError, OSError, RuntimeError),
        *(OverflowError, KeyError, ValueError, TypeError),
    ) as error:
        raise UserError(
            f"{path}: no usable weights ({one_line(error)}); expected inception-2015-12-05.tgz or "
            "an .npz of its folded weights: give one with --inception PATH"
        ) from error


def _read_npz(content: bytes):
    weights = {}
    with open_zip(io.BytesIO(content)) as archive:
        # The .npz may have underscores for slashes in names.
        present = {info.filename.replace("/", "_"): info for info in archive.infolist()}
        for name, shape in weight_shapes().items():
            key = f"{name}.npy".replace("/", "_")
            if key in present:
                most = int(np.prod(shape)) * 8 + 2**16  # bytes at most
                what = f"of {name!r}, float32 {list(shape)}"
                weights[name] = read_array(read_member(archive, present[key], most, what))
                _check_kind(name, weights[name].dtype, weights[name].shape, shape)
    missing = [name for name in weight_shapes("mixed_7") if name not in weights]
    if missing:
        raise KeyError(f"has no {missing[0]!r} ({len(missing)} arrays are missing)")
    return weights


def _unpack_graph(content: bytes):
    """Return the GraphDef's bytes from the .tgz."""
    most = INCEPTION_BYTES
    with gzip.open(io.BytesIO(content)) as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise ValueError(f"unpacks to more than {most:,} bytes")
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        for member in archive:
            if member.isfile() and Path(member.name).name == GRAPH_NAME:
                if member.size > most:  # a sparse file can claim any size
                    raise ValueError(f"unpacks to {member.size:,} bytes, far too many")
                return cast(IO[bytes], archive.extractfile(member)).read()
    raise KeyError(f"holds no {GRAPH_NAME}")


def _read_graph(data: bytes):
    """Read the weights from the constants of a GraphDef, with the batch norms folded."""
    graph = tf.compat.v1.GraphDef()
    graph.ParseFromString(data)
    nodes = {node.name: node for node in graph.node}

    def constant(name: str, shape: Shape):
        if name not in nodes or nodes[name].op != "Const":
            raise KeyError(f"the graph has no constant {name!r}")
        tensor = nodes[name].attr["value"].tensor
        # Before unpacking: one number may stand for 10 GB of copies.
        claimed = tuple(dimension.size for dimension in tensor.tensor_shape.dim)
        _check_kind(name, tf.as_dtype(tensor.dtype).as_numpy_dtype, claimed, shape)
        return tf.make_ndarray(tensor)

    weights = {}
    for key, shape in weight_shapes().items():
        name, _, kind = key.rpartition("/")
        if kind == "kernel":
            norm = nodes.get(f"{name}/batchnorm")
            if norm is None or norm.op != "BatchNormWithGlobalNormalization":
                raise KeyError(f"the graph has no batch norm '{name}/batchnorm'")
            weights[key], weights[f"{name}/bias"] = _fold(name, shape, norm, constant)
    weights[SOFTMAX] = constant(SOFTMAX, weight_shapes()[SOFTMAX])
    return weights


def _fold(name: str, shape: Shape, norm: Any, constant: Callable[[str, Shape], np.ndarray]):
    """Fold the batch norm of a convolution into its kernel and bias."""
    mean, variance, beta = (
        constant(f"{name}/batchnorm/{part}", shape[-1:]).astype(np.float64)
        for part in ("moving_mean", "moving_variance", "beta")
    )
    scale = 1 / np.sqrt(variance + norm.attr["variance_epsilon"].f)
    if norm.attr["scale_after_normalization"].b:
        scale *= constant(f"{name}/batchnorm/gamma", shape[-1:])
    kernel = constant(f"{name}/conv2d_params", shape) * scale
    return kernel.astype(np.float32), (beta - mean * scale).astype(np.float32)


def _check_kind(name: str, dtype: Any, shape: Shape, expected: Shape):
    if shape != expected or dtype != np.float32:
        raise ValueError(
            f"{name!r} is {np.dtype(dtype)} {list(shape)}, expected float32 {list(expected)}"
        )
