"""Files of Inception weights that are damaged or hostile: each is refused in one line."""

import gzip
import io
import struct
import tarfile
import zipfile

import numpy as np
import pytest
import tensorflow as tf
from helpers import SPECIAL, little_memory, put_special, refused

from dcgan_tf.metrics.inception_network import weight_shapes
from dcgan_tf.metrics.inception_weights import GRAPH_NAME, read_weights

FIRST = "conv/kernel"


def npy(shape, descr="<f4"):
    """bytes: the header of an array, and no data."""
    text = repr({"descr": descr, "fortran_order": False, "shape": shape}).encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text


def npz(path, content, **changes):
    """An .npz with one array of the network, whose entry is changed after it was written."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"{FIRST}.npy", content)
        for name, value in changes.items():
            setattr(archive.filelist[0], name, value)
    return path


def whole_array():
    array = io.BytesIO()
    np.save(array, np.zeros(weight_shapes()[FIRST], np.float32))
    return array.getvalue()


@pytest.mark.parametrize(
    ("content", "changes"),
    [
        (npy((10**10,)), {}),
        (npy((2**63, 2**63)), {}),
        (npy((3, 3, 3, 32)), {}),  # no data
        (npy((3, 3, 3, 32), descr="|O"), {}),
        (b"\x93NUMPY\x02\x00\xff\xff\xff\xff" + b"\0" * 100, {}),  # a header of 4 GB
        (b"\0" * 3_000_000, {}),  # more than the array has
        (None, {"flag_bits": 1}),  # encrypted
        (None, {"compress_type": 99}),
        (None, {"file_size": 2**32 - 2}),
    ],
)
def test_arrays_that_claim_too_much_are_refused(tmp_path, content, changes):
    content = whole_array() if content is None else content
    with little_memory(2e8), refused("--inception PATH"):
        read_weights(npz(tmp_path / "w.npz", content, **changes))


def tgz(path, size, pax=None, data=b""):
    """A .tgz with a graph of `size` bytes, by what its header says."""
    info = tarfile.TarInfo(GRAPH_NAME)
    info.size = size
    if pax:
        info.pax_headers = pax
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(info.tobuf(tarfile.PAX_FORMAT if pax else tarfile.GNU_FORMAT) + data)
    return path


@pytest.mark.parametrize(
    ("size", "pax", "data", "why"),
    [
        (4 * 10**9, None, b"", "4,000,000,000 bytes"),
        (3_000_000, None, b"\0" * 3_000_000, "unpacks to more"),
        (100, None, b"", "no usable"),  # cut
        (100, {"comment": "x" * 2_000_000}, b"\0" * 600, "unpacks to more"),
        (100, {"GNU.sparse.realsize": "40000000000"}, b"\0" * 600, ""),
        (600, None, b"\xff" * 1024, "no usable"),
    ],
)
def test_archives_unpack_to_the_limit_at_most(tmp_path, monkeypatch, size, pax, data, why):
    monkeypatch.setattr("dcgan_tf.metrics.inception_weights.INCEPTION_BYTES", 2**20)
    with little_memory(2e7), refused("--inception PATH", why):
        read_weights(tgz(tmp_path / "w.tgz", size, pax, data))


def test_a_graph_may_not_claim_ten_gigabytes_by_one_number(tmp_path):
    graph = tf.compat.v1.GraphDef()
    norm = graph.node.add(name="conv/batchnorm", op="BatchNormWithGlobalNormalization")
    norm.attr["variance_epsilon"].f = 0.001
    tensor = graph.node.add(name="conv/batchnorm/moving_mean", op="Const").attr["value"].tensor
    tensor.dtype = tf.float32.as_datatype_enum
    tensor.tensor_shape.dim.add(size=2_500_000_000)
    tensor.float_val.append(1.0)
    data = graph.SerializeToString()
    padding = b"\0" * (-len(data) % 512)
    with refused("moving_mean", "[2500000000]"):
        read_weights(tgz(tmp_path / "w.tgz", len(data), data=data + padding))


@pytest.mark.parametrize("kind", SPECIAL)
def test_what_is_no_file_of_weights_is_refused_at_once(tmp_path, kind):
    put_special(tmp_path / "w", kind)
    with little_memory(), refused("--inception PATH"):
        read_weights(tmp_path / "w")
