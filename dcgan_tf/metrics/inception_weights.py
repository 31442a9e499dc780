"""The constants of `inception-2015-12-05` from any file that has them, in one form.

The form is a dict {node name: float32 array}: "mixed/tower/conv/kernel" (HWIO) and
"mixed/tower/conv/bias" for each of the 94 convolutions, batch norm folded in, and
"softmax/weights" [2048, 1008]. The bias of the softmax is not read: the Inception Score of its
authors leaves it out, and nothing else uses that layer. A file may stop after `mixed_7`.
"""

import gzip
import http.client
import io
import logging
import stat
import tarfile
import urllib.request
import zipfile
import zlib
from pathlib import Path

import filelock
import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError

from dcgan_tf.common.errors import UserError
from dcgan_tf.common.files import make_directory, replacing
from dcgan_tf.common.limits import MAX_INCEPTION_BYTES
from dcgan_tf.common.progress import progress
from dcgan_tf.common.zips import open_zip

log = logging.getLogger(__name__)

ARCHIVE_URL = "https://download.tensorflow.org/models/image/imagenet/inception-2015-12-05.tgz"
ARCHIVE_BYTES = 88_931_400
GRAPH_NAME = "classify_image_graph_def.pb"
SOFTMAX = "softmax/weights"
SOFTMAX_SHAPE = (2048, 1008)
ARCHIVE_NAME = "inception-2015-12-05.tgz"
DEFAULT_CACHE = Path("~/.cache/dcgan_tf")
EXPECTED = (
    "expected inception-2015-12-05.tgz, its classify_image_graph_def.pb "
    "or an .npz of its folded weights: give one with --inception PATH"
)


def _shapes_to_mixed_7():
    """{convolution: HWIO shape of its kernel}, in the order of the graph."""
    shapes = {
        "conv": (3, 3, 3, 32),
        "conv_1": (3, 3, 32, 32),
        "conv_2": (3, 3, 32, 64),
        "conv_3": (1, 1, 64, 80),
        "conv_4": (3, 3, 80, 192),
    }
    for block, channels, pooled in (("mixed", 192, 32), ("mixed_1", 256, 64), ("mixed_2", 288, 64)):
        shapes |= {
            f"{block}/conv": (1, 1, channels, 64),
            f"{block}/tower/conv": (1, 1, channels, 48),
            f"{block}/tower/conv_1": (5, 5, 48, 64),
            f"{block}/tower_1/conv": (1, 1, channels, 64),
            f"{block}/tower_1/conv_1": (3, 3, 64, 96),
            f"{block}/tower_1/conv_2": (3, 3, 96, 96),
            f"{block}/tower_2/conv": (1, 1, channels, pooled),
        }
    shapes |= {
        "mixed_3/conv": (3, 3, 288, 384),
        "mixed_3/tower/conv": (1, 1, 288, 64),
        "mixed_3/tower/conv_1": (3, 3, 64, 96),
        "mixed_3/tower/conv_2": (3, 3, 96, 96),
    }
    for block, inner in (("mixed_4", 128), ("mixed_5", 160), ("mixed_6", 160), ("mixed_7", 192)):
        shapes |= {
            f"{block}/conv": (1, 1, 768, 192),
            f"{block}/tower/conv": (1, 1, 768, inner),
            f"{block}/tower/conv_1": (1, 7, inner, inner),
            f"{block}/tower/conv_2": (7, 1, inner, 192),
            f"{block}/tower_1/conv": (1, 1, 768, inner),
            f"{block}/tower_1/conv_1": (7, 1, inner, inner),
            f"{block}/tower_1/conv_2": (1, 7, inner, inner),
            f"{block}/tower_1/conv_3": (7, 1, inner, inner),
            f"{block}/tower_1/conv_4": (1, 7, inner, 192),
            f"{block}/tower_2/conv": (1, 1, 768, 192),
        }
    return shapes


def _shapes_above_mixed_7():
    shapes = {
        "mixed_8/tower/conv": (1, 1, 768, 192),
        "mixed_8/tower/conv_1": (3, 3, 192, 320),
        "mixed_8/tower_1/conv": (1, 1, 768, 192),
        "mixed_8/tower_1/conv_1": (1, 7, 192, 192),
        "mixed_8/tower_1/conv_2": (7, 1, 192, 192),
        "mixed_8/tower_1/conv_3": (3, 3, 192, 192),
    }
    for block, channels in (("mixed_9", 1280), ("mixed_10", 2048)):
        shapes |= {
            f"{block}/conv": (1, 1, channels, 320),
            f"{block}/tower/conv": (1, 1, channels, 384),
            f"{block}/tower/mixed/conv": (1, 3, 384, 384),
            f"{block}/tower/mixed/conv_1": (3, 1, 384, 384),
            f"{block}/tower_1/conv": (1, 1, channels, 448),
            f"{block}/tower_1/conv_1": (3, 3, 448, 384),
            f"{block}/tower_1/mixed/conv": (1, 3, 384, 384),
            f"{block}/tower_1/mixed/conv_1": (3, 1, 384, 384),
            f"{block}/tower_2/conv": (1, 1, channels, 192),
        }
    return shapes


KERNEL_SHAPES = _shapes_to_mixed_7() | _shapes_above_mixed_7()
ABOVE_MIXED_7 = ("mixed_8/", "mixed_9/", "mixed_10/", "softmax/")


def weight_shapes(layer: str = "logits") -> dict[str, tuple[int, ...]]:
    """{weight name: shape} of all that `layer` ("mixed_7", "pool_3" or "logits") depends on."""
    shapes = {}
    for name, shape in KERNEL_SHAPES.items():
        shapes |= {f"{name}/kernel": shape, f"{name}/bias": shape[-1:]}
    shapes[SOFTMAX] = SOFTMAX_SHAPE
    if layer == "mixed_7":
        return {name: s for name, s in shapes.items() if not name.startswith(ABOVE_MIXED_7)}
    if layer == "pool_3":
        del shapes[SOFTMAX]
    return shapes


# What the readers of zip, gzip, tar and protobuf raise for files that are damaged, encrypted or of
# an unknown compression.
_DAMAGED = (
    DecodeError,
    tarfile.TarError,
    zipfile.BadZipFile,
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
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; {EXPECTED}") from None
    except _DAMAGED as error:
        reason = _one_line(error)
        raise UserError(f"{path}: damaged or of another kind ({reason}); {EXPECTED}") from error
    except (KeyError, ValueError, TypeError) as error:
        raise UserError(f"{path}: {_one_line(error)}; {EXPECTED}") from error


def _one_line(error):
    text = str(error.args[0] if isinstance(error, KeyError) else error)
    return " ".join(text.split())[:200] or type(error).__name__


def _read(path):
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):  # a pipe would never end, nor would /dev/zero
        raise ValueError("no regular file")
    if status.st_size > MAX_INCEPTION_BYTES:
        raise ValueError(_too_large(status.st_size))
    with path.open("rb") as file:
        magic = file.read(4)
    if magic == b"PK\x03\x04":
        return _read_npz(path)
    if magic[:2] == b"\x1f\x8b":
        return _read_graph(_unpack_graph(path))
    return _read_graph(path.read_bytes())


def _too_large(size):
    return f"{size:,} bytes, expected {MAX_INCEPTION_BYTES:,} at most"


def _read_npz(path):
    weights = {}
    with open_zip(path) as archive:
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
    """One array of an .npz, of which nothing is read that claims another shape or type."""
    if info.file_size > np.prod(shape) * 8 + 2**16:
        raise ValueError(f"{name!r} has {info.file_size:,} bytes, expected float32 {list(shape)}")
    with archive.open(info) as file:
        version = np.lib.format.read_magic(file)
        if version not in ((1, 0), (2, 0)):
            raise ValueError(f"{name!r} is in version {version} of NumPy's format")
        header = {1: np.lib.format.read_array_header_1_0, 2: np.lib.format.read_array_header_2_0}
        found_shape, _, dtype = header[version[0]](file)
        _check_kind(name, dtype, found_shape, shape)
        file.seek(0)
        return _finite(name, np.lib.format.read_array(file, allow_pickle=False))


def _unpack_graph(path):
    """bytes: the graph in the .tgz, read as a stream that ends at the limit."""
    with (
        gzip.open(path) as unpacked,
        tarfile.open(fileobj=_Limited(unpacked, MAX_INCEPTION_BYTES), mode="r|") as archive,
    ):
        for member in archive:
            if member.isfile() and Path(member.name).name == GRAPH_NAME:
                if member.size > MAX_INCEPTION_BYTES:
                    raise ValueError(f"its {GRAPH_NAME} has {_too_large(member.size)}")
                return archive.extractfile(member).read()
    raise KeyError(f"holds no {GRAPH_NAME}")


class _Limited(io.RawIOBase):
    """A stream that gives `limit` bytes of another one and then raises ValueError."""

    def __init__(self, stream, limit):
        self._stream, self._left = stream, limit

    def read(self, size=-1):
        if not 0 <= size <= self._left:
            raise ValueError(f"unpacks to more than {MAX_INCEPTION_BYTES:,} bytes")
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


def download_archive(
    cache_dir: Path | str = DEFAULT_CACHE,
    url: str = ARCHIVE_URL,
    expected_bytes: int = ARCHIVE_BYTES,
) -> Path:
    """inception-2015-12-05.tgz in the cache, downloaded first if it is not there.

    The file appears under its name only when it is complete; what was broken off starts anew, and
    of two processes that need it the second waits for the first.

    Raises:
        UserError: the server cannot be reached, sends another number of bytes or by a connection
            that is not encrypted; it names --inception as the way out.
    """
    cache_dir = _at_home(cache_dir)
    target = cache_dir / ARCHIVE_NAME
    if _is_complete(target, expected_bytes):
        return target
    make_directory(cache_dir, "cache of the Inception weights")
    with filelock.FileLock(cache_dir / f".{ARCHIVE_NAME}.lock"):
        if _is_complete(target, expected_bytes):
            return target
        log.info(f"downloading {url} to {target}")
        try:
            with replacing(target) as temporary:
                _fetch(url, temporary, expected_bytes)
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise UserError(
                f"{url}: download failed ({_one_line(error)}); check the network and run again, "
                f"or get {ARCHIVE_NAME} elsewhere and give it with --inception PATH"
            ) from error
    return target


def _at_home(folder):
    try:
        return Path(folder).expanduser()
    except RuntimeError:
        raise UserError(
            f"no home folder to keep the Inception weights in ({folder}); "
            f"get {ARCHIVE_NAME} elsewhere and give it with --inception PATH"
        ) from None


def _is_complete(path, expected_bytes):
    return path.is_file() and path.stat().st_size == expected_bytes


def _fetch(url, path, expected_bytes):
    """Copy the body of `url` to `path`; OSError unless it has the expected number of bytes."""
    received = 0
    with (
        urllib.request.urlopen(url, timeout=60) as response,
        path.open("wb") as file,
        progress(expected_bytes, "inception-2015-12-05", "B") as bar,
    ):
        if url.startswith("https:") and not response.url.startswith("https:"):
            raise OSError(f"sent on to {response.url}, which is not encrypted")
        while received <= expected_bytes and (part := response.read(1 << 16)):
            file.write(part)
            received += len(part)
            bar.update(len(part))
    if received != expected_bytes:
        raise OSError(f"{received:,} bytes came, expected {expected_bytes:,}")
