"""Which class a image is of: MNIST's and CIFAR-10's own files, or its folder."""

import gzip
import io
import struct

import numpy as np
import pytest
from helpers import refused, resolved, write_files
from PIL import Image

from dcgan_tf.data.sources import Folder, open_source
from dcgan_tf.probe.probing import read_labels


def idx(labels, magic=2049, count=None):
    count = len(labels) if count is None else count
    return struct.pack(">2i", magic, count) + bytes(labels)


def write_images(folder, name, count):
    content = struct.pack(">4i", 2051, count, 2, 2) + bytes(4 * count)
    (folder / f"{name}-images-idx3-ubyte").write_bytes(content)


def source_of(folder, dataset="mnist"):
    return open_source(resolved("--config", dataset, "--data", folder))


def test_idx_labels_of_all_files_in_the_order_of_the_images(tmp_path):
    write_images(tmp_path, "train", 2)
    write_images(tmp_path, "t10k", 3)
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(idx([7, 7]))
    (tmp_path / "t10k-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx([3, 4, 5])))
    source = source_of(tmp_path)
    np.testing.assert_array_equal(source.labels(), [3, 4, 5, 7, 7])
    classes, found = read_labels(source, ["000004", "000000"])
    assert classes == ["3", "7"] and found.tolist() == [1, 0]


@pytest.mark.parametrize(
    "content", [idx([1, 2], magic=2051), idx([1, 2], count=3), idx([1, 2], count=1), idx([]), b""]
)
def test_damaged_label_files_are_refused(tmp_path, content):
    claimed = int.from_bytes(content[4:8], "big")
    write_images(tmp_path, "t10k", max(claimed, 1))
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(content)
    with refused("--data", "not a whole IDX label file"):
        source_of(tmp_path).labels()


def test_cifar_labels_belong_to_the_images(tmp_path):
    for name, label in (("data_batch_1.bin", 6), ("test_batch.bin", 2)):
        record = bytes([label]) + bytes([label * 10]) * 3072
        (tmp_path / name).write_bytes(record * 2)
    source = source_of(tmp_path, "cifar10")
    assert source.labels().tolist() == [6, 6, 2, 2]
    pixels = [Image.open(io.BytesIO(encoded)) for _, encoded in source.read(range(4))]
    assert [np.unique(p).tolist() for p in pixels] == [[60], [60], [20], [20]]


def test_folders_are_classes(tmp_path):
    names = ["x/dog/1.png", "x/cat/1.png", "y/dog/2.png"]
    source = Folder(write_files(tmp_path, dict.fromkeys(names, b"")))
    classes, found = read_labels(source, names)
    assert classes == ["cat", "dog"] and found.tolist() == [1, 0, 1]
    with refused("images of 1 classes", "one folder a class"):
        read_labels(source, ["1.png", "2.png"])


def test_labels_that_are_missing_or_too_few_are_refused(tmp_path):
    write_images(tmp_path, "t10k", 6)
    with refused("no labels next to the images"):
        read_labels(source_of(tmp_path), ["000005"])
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(idx([1, 2, 3, 4, 5, 6]))
    with refused("no labels next to the images"):  # those are of other images
        read_labels(source_of(tmp_path), ["000005"])
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(idx([1, 2]))
    with refused("t10k-labels", "2 labels, expected 6, as many as there are images"):
        read_labels(source_of(tmp_path), ["000002"])
