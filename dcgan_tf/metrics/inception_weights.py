"""The constants of `inception-2015-12-05` from any file that has them, in one form.

The form is a dict {node name: float32 array}: "mixed/tower/conv/kernel" (HWIO) and
"mixed/tower/conv/bias" for each of the 94 convolutions, batch norm folded in, and
"softmax/weights" [2048, 1008]. The bias of the softmax is not read: the Inception Score of its
authors leaves it out, and nothing else uses that layer. A file may stop after `mixed_7`.
"""

import http.client
import os
import shutil
import tarfile
import tempfile
import urllib.request
import zipfile
import zlib
from pathlib import Path

import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError
from tqdm import tqdm

from dcgan_tf.common.errors import UserError

ARCHIVE_URL = "http://download.tensorflow.org/models/image/imagenet/inception-2015-12-05.tgz"
ARCHIVE_BYTES = 88_931_400
GRAPH_NAME = "classify_image_graph_def.pb"
SOFTMAX = "softmax/weights"
SOFTMAX_SHAPE = (2048, 1008)
DEFAULT_CACHE = Path("~/.cache/dcgan_tf")
EXPECTED = (
    "expected inception-2015-12-05.tgz, its classify_image_graph_def.pb "
    "or an .npz of its folded weights: give one with --inception PATH"
)


def _kernel_shapes():
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
    shapes |= {
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


KERNEL_SHAPES = _kernel_shapes()
ABOVE_MIXED_7 = ("mixed_8/", "mixed_9/", "mixed_10/", "softmax/")


def weight_shapes(layer="logits"):
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


_DAMAGED = (DecodeError, tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError, OSError)


def read_weights(path):
    """Read an .npz, a GraphDef or the .tgz that holds it; which, its first bytes tell.

    Returns the dict of the module's docstring. Raises UserError where the file is missing,
    damaged, or lacks a weight that the network needs.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path}: no such file; {EXPECTED}")
    with path.open("rb") as file:
        magic = file.read(4)
    try:
        if magic == b"PK\x03\x04":
            weights = _read_npz(path)
        elif magic[:2] == b"\x1f\x8b":
            weights = _read_graph(_unpack_graph(path))
        else:
            weights = _read_graph(path.read_bytes())
    except _DAMAGED as error:
        raise UserError(f"{path}: damaged or of another kind ({error}); {EXPECTED}") from error
    except (KeyError, ValueError, TypeError) as error:
        raise UserError(f"{path}: {error.args[0]}; {EXPECTED}") from error
    return weights


def _read_npz(path):
    weights = {}
    with np.load(path) as archive:
        present = set(archive.files)
        for name, shape in weight_shapes().items():
            node, _, kind = name.rpartition("/")
            # The archive spells the slashes inside a node's name as underscores.
            keys = {name, f"{node.replace('/', '_')}/{kind}"} & present
            if keys:
                weights[name] = _checked(name, archive[keys.pop()], shape)
    missing = [name for name in weight_shapes("mixed_7") if name not in weights]
    if missing:
        raise KeyError(f"has no {missing[0]!r} ({len(missing)} arrays are missing)")
    return weights


def _unpack_graph(path):
    with tarfile.open(path, "r:gz") as archive:
        for member in archive:
            if member.isfile() and Path(member.name).name == GRAPH_NAME:
                return archive.extractfile(member).read()
    raise KeyError(f"holds no {GRAPH_NAME}")


def _read_graph(data):
    """The weights of a GraphDef, its constants found by node name, batch norm folded."""
    graph = tf.compat.v1.GraphDef()
    graph.ParseFromString(data)
    nodes = {node.name: node for node in graph.node}

    def constant(name, shape):
        if name not in nodes or nodes[name].op != "Const":
            raise KeyError(f"the graph has no constant {name!r}")
        return _checked(name, tf.make_ndarray(nodes[name].attr["value"].tensor), shape)

    weights = {}
    for name, shape in KERNEL_SHAPES.items():
        norm = nodes.get(f"{name}/batchnorm")
        if norm is None or norm.op != "BatchNormWithGlobalNormalization":
            raise KeyError(f"the graph has no batch norm '{name}/batchnorm'")
        mean, variance, beta = (
            constant(f"{name}/batchnorm/{part}", shape[-1:]).astype(np.float64)
            for part in ("moving_mean", "moving_variance", "beta")
        )
        scale = 1 / np.sqrt(variance + norm.attr["variance_epsilon"].f)
        if norm.attr["scale_after_normalization"].b:
            scale *= constant(f"{name}/batchnorm/gamma", shape[-1:])
        kernel = constant(f"{name}/conv2d_params", shape)
        weights[f"{name}/kernel"] = (kernel * scale).astype(np.float32)
        weights[f"{name}/bias"] = (beta - mean * scale).astype(np.float32)
    weights[SOFTMAX] = constant(SOFTMAX, SOFTMAX_SHAPE)
    return weights


def _checked(name, array, shape):
    if array.shape != shape or array.dtype != np.float32:
        raise ValueError(
            f"{name!r} is {array.dtype} {list(array.shape)}, expected float32 {list(shape)}"
        )
    if not np.isfinite(array).all():
        raise ValueError(f"{name!r} contains NaN or infinity")
    return array


def download_archive(cache_dir=DEFAULT_CACHE, url=ARCHIVE_URL, expected_bytes=ARCHIVE_BYTES):
    """The path of inception-2015-12-05.tgz in the cache, downloaded first if it is not there.

    The file appears under its name only when it is complete. Raises UserError, with --inception
    as the way out, where the server cannot be reached or sends another number of bytes.
    """
    cache_dir = Path(cache_dir).expanduser()
    target = cache_dir / "inception-2015-12-05.tgz"
    if target.is_file() and target.stat().st_size == expected_bytes:
        return target
    cache_dir.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=cache_dir, prefix=".inception-", suffix=".part")
    try:
        with os.fdopen(descriptor, "wb") as file:
            received = _fetch(url, file, expected_bytes)
        if received != expected_bytes:
            raise OSError(f"{received:,} bytes came, expected {expected_bytes:,}")
        os.replace(name, target)
    except (OSError, http.client.HTTPException) as error:
        raise UserError(
            f"{url}: download failed ({error}); check the network and run again, or get "
            f"inception-2015-12-05.tgz elsewhere and give it with --inception PATH"
        ) from error
    finally:
        Path(name).unlink(missing_ok=True)
    return target


def _fetch(url, file, expected_bytes):
    """Copy the body of `url` into `file` and return how many bytes it had."""
    with (
        urllib.request.urlopen(url, timeout=60) as response,
        tqdm.wrapattr(
            response, "read", total=expected_bytes, desc="inception-2015-12-05", disable=None
        ) as body,
    ):
        shutil.copyfileobj(body, file, 1 << 16)
    return file.tell()
