"""Names, shapes and reading of the weights of `inception-2015-12-05`.

They are a dict {node name: float32 array}: "mixed/tower/conv/kernel" (HWIO) and
"mixed/tower/conv/bias" for each of the 94 convolutions, batch norm folded in, and
"softmax/weights" [2048, 1008]. The bias of the softmax is not read: the Inception Score of its
authors leaves it out, and nothing else uses that layer. A file may stop after `mixed_7`.
"""

import gzip
import io
import os
import tarfile
import zlib
from pathlib import Path
from typing import IO, cast

import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError

from dcgan_tf.common.errors import UserError, one_line
from dcgan_tf.common.foreign import open_zip, read_array, read_file, read_member

INCEPTION_BYTES = 2**28  # of weights, on disk and unpacked; true ones have 96 MB
SOFTMAX = "softmax/weights"
SOFTMAX_SHAPE = (2048, 1008)
ABOVE_MIXED_7 = ("mixed_8/", "mixed_9/", "mixed_10/", "softmax/")
GRAPH_NAME = "classify_image_graph_def.pb"


def _tower(prefix, channels, *kernels):
    """{convolution: HWIO shape of its kernel} of a chain; kernels are (height, width, filters)."""
    shapes = {}
    for i, (height, width, filters) in enumerate(kernels):
        shapes[f"{prefix}conv_{i}" if i else f"{prefix}conv"] = (height, width, channels, filters)
        channels = filters
    return shapes


def _kernel_shapes():
    shapes = _tower("", 3, (3, 3, 32), (3, 3, 32), (3, 3, 64), (1, 1, 80), (3, 3, 192))
    for b, channels, pooled in (("mixed", 192, 32), ("mixed_1", 256, 64), ("mixed_2", 288, 64)):
        shapes |= _tower(f"{b}/", channels, (1, 1, 64))
        shapes |= _tower(f"{b}/tower/", channels, (1, 1, 48), (5, 5, 64))
        shapes |= _tower(f"{b}/tower_1/", channels, (1, 1, 64), (3, 3, 96), (3, 3, 96))
        shapes |= _tower(f"{b}/tower_2/", channels, (1, 1, pooled))
    shapes |= _tower("mixed_3/", 288, (3, 3, 384))
    shapes |= _tower("mixed_3/tower/", 288, (1, 1, 64), (3, 3, 96), (3, 3, 96))
    for b, n in (("mixed_4", 128), ("mixed_5", 160), ("mixed_6", 160), ("mixed_7", 192)):
        row, column = (1, 7, n), (7, 1, n)
        shapes |= _tower(f"{b}/", 768, (1, 1, 192))
        shapes |= _tower(f"{b}/tower/", 768, (1, 1, n), row, (7, 1, 192))
        shapes |= _tower(f"{b}/tower_1/", 768, (1, 1, n), column, row, column, (1, 7, 192))
        shapes |= _tower(f"{b}/tower_2/", 768, (1, 1, 192))
    shapes |= _tower("mixed_8/tower/", 768, (1, 1, 192), (3, 3, 320))
    shapes |= _tower("mixed_8/tower_1/", 768, (1, 1, 192), (1, 7, 192), (7, 1, 192), (3, 3, 192))
    for b, channels in (("mixed_9", 1280), ("mixed_10", 2048)):
        shapes |= _tower(f"{b}/", channels, (1, 1, 320))
        shapes |= _tower(f"{b}/tower/", channels, (1, 1, 384))
        shapes |= _tower(f"{b}/tower_1/", channels, (1, 1, 448), (3, 3, 384))
        for tower in ("tower", "tower_1"):  # both of its convolutions see the same input
            shapes[f"{b}/{tower}/mixed/conv"] = (1, 3, 384, 384)
            shapes[f"{b}/{tower}/mixed/conv_1"] = (3, 1, 384, 384)
        shapes |= _tower(f"{b}/tower_2/", channels, (1, 1, 192))
    return shapes


KERNEL_SHAPES = _kernel_shapes()


def weight_shapes(layer: str = "logits") -> dict[str, tuple[int, ...]]:
    """Return {weight name: shape} of all that "mixed_7", "pool_3" or "logits" depends on."""
    shapes: dict[str, tuple[int, ...]] = {}
    for name, shape in KERNEL_SHAPES.items():
        if layer != "mixed_7" or not name.startswith(ABOVE_MIXED_7):
            shapes |= {f"{name}/kernel": shape, f"{name}/bias": shape[-1:]}
    if layer == "logits":
        shapes[SOFTMAX] = SOFTMAX_SHAPE
    return shapes


def read_weights(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """Read an .npz, or the .tgz that holds a GraphDef; the first bytes tell which.

    No more is unpacked than the network can need.

    Raises:
        UserError: the file is missing, damaged, too large, or lacks a weight that is needed.
    """
    try:
        content = read_file(path, INCEPTION_BYTES)
        is_zip = content.startswith(b"PK\x03\x04")
        return _read_npz(content) if is_zip else _read_graph(_unpack_graph(content))
    # Everything that the readers of zip, gzip, tar and protobuf raise for damaged, encrypted or
    # unknown files; BadFile is a ValueError.
    except (
        *(DecodeError, tarfile.TarError, zlib.error, EOFError, OSError, RuntimeError),
        *(OverflowError, KeyError, ValueError, TypeError),
    ) as error:
        raise UserError(
            f"{path}: no usable weights ({one_line(error)}); expected inception-2015-12-05.tgz or "
            "an .npz of its folded weights: give one with --inception PATH"
        ) from error


def _read_npz(content):
    weights = {}
    with open_zip(io.BytesIO(content)) as archive:
        present = {info.filename: info for info in archive.infolist()}
        for name, shape in weight_shapes().items():
            node, _, kind = name.rpartition("/")
            # The archive spells the slashes inside a node's name as underscores.
            for key in (f"{node.replace('/', '_')}/{kind}.npy", f"{name}.npy"):
                if key in present:
                    weights[name] = _read_member(archive, present[key], name, shape)
    missing = [name for name in weight_shapes("mixed_7") if name not in weights]
    if missing:
        raise KeyError(f"has no {missing[0]!r} ({len(missing)} arrays are missing)")
    return weights


def _read_member(archive, info, name, shape):
    """Read one array of an .npz, and no more than its shape can need."""
    most = int(np.prod(shape)) * 8 + 2**16
    array = read_array(read_member(archive, info, most, f"of {name!r}, float32 {list(shape)}"))
    _check_kind(name, array.dtype, array.shape, shape)
    return array


def _unpack_graph(content):
    """Return the GraphDef's bytes from the .tgz, of which only so much is unpacked."""
    most = INCEPTION_BYTES
    with gzip.open(io.BytesIO(content)) as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise ValueError(f"unpacks to more than {most:,} bytes")
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        for member in archive:
            if member.isfile() and Path(member.name).name == GRAPH_NAME:
                if member.size > most:  # a sparse file is mostly a claim
                    raise ValueError(f"unpacks to {member.size:,} bytes, far too many")
                return cast(IO[bytes], archive.extractfile(member)).read()
    raise KeyError(f"holds no {GRAPH_NAME}")


def _read_graph(data):
    """Read the weights of a GraphDef: constants by node name, batch norm folded."""
    graph = tf.compat.v1.GraphDef()
    graph.ParseFromString(data)
    nodes = {node.name: node for node in graph.node}

    def constant(name, shape):
        if name not in nodes or nodes[name].op != "Const":
            raise KeyError(f"the graph has no constant {name!r}")
        tensor = nodes[name].attr["value"].tensor
        # Before it is unpacked: one number may stand for 10 GB of them.
        claimed = tuple(dimension.size for dimension in tensor.tensor_shape.dim)
        _check_kind(name, tf.as_dtype(tensor.dtype).as_numpy_dtype, claimed, shape)
        return tf.make_ndarray(tensor)

    weights = {}
    for name, shape in KERNEL_SHAPES.items():
        norm = nodes.get(f"{name}/batchnorm")
        if norm is None or norm.op != "BatchNormWithGlobalNormalization":
            raise KeyError(f"the graph has no batch norm '{name}/batchnorm'")
        weights[f"{name}/kernel"], weights[f"{name}/bias"] = _fold(name, shape, norm, constant)
    weights[SOFTMAX] = constant(SOFTMAX, SOFTMAX_SHAPE)
    return weights


def _fold(name, shape, norm, constant):
    """Kernel and bias of a convolution with its batch norm in them."""
    mean, variance, beta = (
        constant(f"{name}/batchnorm/{part}", shape[-1:]).astype(np.float64)
        for part in ("moving_mean", "moving_variance", "beta")
    )
    scale = 1 / np.sqrt(variance + norm.attr["variance_epsilon"].f)
    if norm.attr["scale_after_normalization"].b:
        scale *= constant(f"{name}/batchnorm/gamma", shape[-1:])
    kernel = constant(f"{name}/conv2d_params", shape) * scale
    return kernel.astype(np.float32), (beta - mean * scale).astype(np.float32)


def _check_kind(name, dtype, shape, expected):
    if shape != expected or dtype != np.float32:
        raise ValueError(
            f"{name!r} is {np.dtype(dtype)} {list(shape)}, expected float32 {list(expected)}"
        )
