"""Which class a picture is of: MNIST's and CIFAR-10's own files, or its folder."""

import gzip
import struct
from dataclasses import replace

import numpy as np
import pytest
from helpers import MNIST, needs_mnist, refused, resolved

from dcgan_tf.data.binary import read_cifar, read_cifar_labels, read_idx_labels
from dcgan_tf.data.labels import read_labels


def idx(labels, magic=2049, count=None):
    count = len(labels) if count is None else count
    return struct.pack(">2i", magic, count) + bytes(labels)


def pictures(folder, name, count):
    content = struct.pack(">4i", 2051, count, 2, 2) + bytes(4 * count)
    (folder / f"{name}-images-idx3-ubyte").write_bytes(content)


def test_idx_labels_of_all_files_in_the_order_of_the_pictures(tmp_path):
    pictures(tmp_path, "train", 2)
    pictures(tmp_path, "t10k", 3)
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(idx([7, 7]))
    (tmp_path / "t10k-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx([3, 4, 5])))
    np.testing.assert_array_equal(read_idx_labels(tmp_path), [3, 4, 5, 7, 7])
    config = resolved("--config", "mnist", "--data", tmp_path)
    classes, found = read_labels(config, tmp_path, ["000004", "000000"])
    assert classes == ["3", "7"] and found.tolist() == [1, 0]
    assert read_idx_labels(tmp_path / "none") is None


@pytest.mark.parametrize(
    "content", [idx([1, 2], magic=2051), idx([1, 2], count=3), idx([1, 2], count=1), idx([]), b""]
)
def test_damaged_label_files_are_refused(tmp_path, content):
    claimed = int.from_bytes(content[4:8], "big")
    pictures(tmp_path, "t10k", max(claimed, 1))
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(content)
    with refused("--data", "not a whole IDX label file"):
        read_idx_labels(tmp_path)


def test_cifar_labels_belong_to_the_pictures(tmp_path):
    for name, label in (("data_batch_1.bin", 6), ("test_batch.bin", 2)):
        record = bytes([label]) + bytes([label * 10]) * 3072
        (tmp_path / name).write_bytes(record * 2)
    labels, pixels = read_cifar_labels(tmp_path), read_cifar(tmp_path)
    assert labels.tolist() == [6, 6, 2, 2]
    assert (pixels[:, 0, 0, 0] == labels * 10).all()


def test_folders_are_classes(tmp_path):
    config = replace(resolved("--dataset", "folder", "--data", tmp_path))
    classes, found = read_labels(config, tmp_path, ["x/dog/1.png", "x/cat/1.png", "y/dog/2.png"])
    assert classes == ["cat", "dog"] and found.tolist() == [1, 0, 1]
    with refused("pictures of 1 classes", "one folder a class"):
        read_labels(config, tmp_path, ["1.png", "2.png"])


def test_labels_that_are_missing_or_too_few_are_refused(tmp_path):
    config = resolved("--config", "mnist", "--data", tmp_path)
    pictures(tmp_path, "t10k", 6)
    with refused("0 labels beside the pictures, expected 6"):
        read_labels(config, tmp_path, ["000005"])
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(idx([1, 2, 3, 4, 5, 6]))
    with refused("0 labels beside the pictures, expected 6"):  # those are of other pictures
        read_labels(config, tmp_path, ["000005"])
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(idx([1, 2]))
    with refused("t10k-labels", "2 labels, expected 6, as many as there are pictures"):
        read_labels(config, tmp_path, ["000002"])
    with refused("give a folder instead"):
        read_labels(replace(config, data="tfds"), "tfds:mnist", ["000000"])


@needs_mnist
def test_mnists_own_labels():
    labels = read_idx_labels(MNIST)
    assert labels[:5].tolist() == [7, 2, 1, 0, 4] and len(labels) == 10_000
