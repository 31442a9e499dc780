"""Read the weights of `inception-2015-12-05` from any file that has them.

The form is a dict {node name: float32 array}: "mixed/tower/conv/kernel" (HWIO) and
"mixed/tower/conv/bias" for each of the 94 convolutions, batch norm folded in, and
"softmax/weights" [2048, 1008]. The bias of the softmax is not read: the Inception Score of its
authors leaves it out, and nothing else uses that layer. A file may stop after `mixed_7`.
"""

import gzip
import io
import tarfile
import zlib
from pathlib import Path

import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError

from dcgan_tf.common import limits
from dcgan_tf.common.errors import UserError, one_line
from dcgan_tf.common.foreign import BadFile, open_zip, read_array, read_file, read_member
from dcgan_tf.metrics.inception_shapes import KERNEL_SHAPES, SOFTMAX, SOFTMAX_SHAPE, weight_shapes

GRAPH_NAME = "classify_image_graph_def.pb"
EXPECTED = (
    "expected inception-2015-12-05.tgz, its classify_image_graph_def.pb "
    "or an .npz of its folded weights: give one with --inception PATH"
)
# What the readers of zip, gzip, tar and protobuf raise for files that are damaged, encrypted or of
# an unknown compression.
_DAMAGED = (
    DecodeError,
    tarfile.TarError,
    zlib.error,
    EOFError,
    OSError,
    RuntimeError,
    OverflowError,
)


def read_weights(path: Path | str) -> dict[str, np.ndarray]:
    """Read an .npz, a GraphDef or the .tgz that holds it; which, its first bytes tell.

    Returns the dict of the module's docstring. No more is unpacked than the network can need.

    Raises:
        UserError: the file is missing, damaged, too large, or lacks a weight that is needed.
    """
    path = Path(path)
    try:
        return _read(path)
    except BadFile as bad:
        raise UserError(f"{path}: {bad}; {EXPECTED}") from None
    except _DAMAGED as error:
        reason = one_line(error)
        raise UserError(f"{path}: damaged or of another kind ({reason}); {EXPECTED}") from error
    except (KeyError, ValueError, TypeError) as error:
        raise UserError(f"{path}: {one_line(error)}; {EXPECTED}") from error


def _read(path):
    content = read_file(path, limits.INCEPTION_BYTES)
    if content.startswith(b"PK\x03\x04"):
        return _read_npz(content)
    return _read_graph(_unpack_graph(content) if content.startswith(b"\x1f\x8b") else content)


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
    """One array of an .npz, of which no more is read than its shape can need."""
    most = int(np.prod(shape)) * 8 + 2**16
    try:
        array = read_array(read_member(archive, info, most, f"of float32 {list(shape)}"))
    except BadFile as bad:
        raise BadFile(f"{name!r}: {bad}") from None
    _check_kind(name, array.dtype, array.shape, shape)
    return _finite(name, array)


def _unpack_graph(content):
    """bytes: the graph in the .tgz, read as a stream that ends at the limit."""
    with (
        gzip.open(io.BytesIO(content)) as unpacked,
        tarfile.open(fileobj=_Limited(unpacked, limits.INCEPTION_BYTES), mode="r|") as archive,
    ):
        for member in archive:
            if member.isfile() and Path(member.name).name == GRAPH_NAME:
                if member.size > limits.INCEPTION_BYTES:
                    raise ValueError(f"unpacks to {member.size:,} bytes, far too many")
                return archive.extractfile(member).read()
    raise KeyError(f"holds no {GRAPH_NAME}")


class _Limited(io.RawIOBase):
    """A stream that gives `limit` bytes of another one and then raises ValueError."""

    def __init__(self, stream, limit):
        self._stream, self._left = stream, limit

    def read(self, size=-1):
        if not 0 <= size <= self._left:
            raise ValueError(f"unpacks to more than {limits.INCEPTION_BYTES:,} bytes")
        data = self._stream.read(size)
        self._left -= len(data)
        return data


def _read_graph(data):
    """The weights of a GraphDef, its constants found by node name, batch norm folded."""
    graph = tf.compat.v1.GraphDef()
    graph.ParseFromString(data)
    nodes = {node.name: node for node in graph.node}

    def constant(name, shape):
        if name not in nodes or nodes[name].op != "Const":
            raise KeyError(f"the graph has no constant {name!r}")
        tensor = nodes[name].attr["value"].tensor
        # Before it is unpacked: one number may stand for 10 GB of them.
        found_shape = tuple(dimension.size for dimension in tensor.tensor_shape.dim)
        _check_kind(name, tf.as_dtype(tensor.dtype).as_numpy_dtype, found_shape, shape)
        return _finite(name, tf.make_ndarray(tensor))

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
    with np.errstate(all="ignore"):  # of a negative variance: refused below
        scale = 1 / np.sqrt(variance + norm.attr["variance_epsilon"].f)
        if norm.attr["scale_after_normalization"].b:
            scale *= constant(f"{name}/batchnorm/gamma", shape[-1:])
        kernel = (constant(f"{name}/conv2d_params", shape) * scale).astype(np.float32)
        bias = (beta - mean * scale).astype(np.float32)
    return _finite(f"{name}/kernel", kernel), _finite(f"{name}/bias", bias)


def _check_kind(name, dtype, shape, expected):
    if shape != expected or dtype != np.float32:
        raise ValueError(
            f"{name!r} is {np.dtype(dtype)} {list(shape)}, expected float32 {list(expected)}"
        )


def _finite(name, array):
    if not np.isfinite(array).all():
        raise ValueError(f"{name!r} contains NaN or infinity")
    return array
