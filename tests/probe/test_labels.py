"""The class of an image: from MNIST's and CIFAR-10's own files, or the name of its folder."""

import gzip
import struct

import pytest
from helpers import refused, resolved, write_files

from dcgan_tf.data.sources import Folder, open_source
from dcgan_tf.probe.probing import read_labels


def idx(labels, magic=2049, count=None):
    return struct.pack(">2i", magic, len(labels) if count is None else count) + bytes(labels)


def write_images(folder, name, count):
    content = struct.pack(">4i", 2051, count, 2, 2) + bytes(4 * count)
    (folder / f"{name}-images-idx3-ubyte").write_bytes(content)


def source_of(folder, dataset="mnist"):
    return open_source(resolved("--config", dataset, "--data", folder))


def test_idx_labels_are_those_of_each_file_or_refused(tmp_path):
    write_images(tmp_path, "train", 2)
    write_images(tmp_path, "t10k", 3)
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(idx([7, 7]))
    with refused("no labels next to the images"):  # those are of other images
        read_labels(source_of(tmp_path), ["000002"])
    packed = tmp_path / "t10k-labels-idx1-ubyte.gz"
    packed.write_bytes(gzip.compress(idx([1, 2])))
    with refused("t10k-labels", "2 labels, expected 3, as many as there are images"):
        read_labels(source_of(tmp_path), ["000002"])
    packed.write_bytes(gzip.compress(idx([3, 4, 5])))
    source = source_of(tmp_path)
    assert source.labels().tolist() == [3, 4, 5, 7, 7]
    classes, found = read_labels(source, ["000004", "000000"])
    assert classes == ["3", "7"] and found.tolist() == [1, 0]


@pytest.mark.parametrize(
    "content", [idx([1, 2], magic=2051), idx([1, 2], count=3), idx([1, 2], count=1), idx([]), b""]
)
def test_damaged_label_files_are_refused(tmp_path, content):
    write_images(tmp_path, "t10k", max(int.from_bytes(content[4:8], "big"), 1))
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(content)
    with refused("--data", "not a whole IDX label file"):
        source_of(tmp_path).labels()


def test_cifar_labels_are_in_the_order_of_the_images(tmp_path):
    for name, labels in (("data_batch_1.bin", (6, 5)), ("test_batch.bin", (2, 1))):
        (tmp_path / name).write_bytes(b"".join(bytes([k]) + bytes(3072) for k in labels))
    assert source_of(tmp_path, "cifar10").labels().tolist() == [6, 5, 2, 1]


def test_folders_are_classes(tmp_path):
    names = ["x/dog/1.png", "x/cat/1.png", "y/dog/2.png"]
    source = Folder(write_files(tmp_path, dict.fromkeys(names, b"")))
    classes, found = read_labels(source, names)
    assert classes == ["cat", "dog"] and found.tolist() == [1, 0, 1]
    with refused("images of 1 classes", "one folder per class"):
        read_labels(source, ["1.png", "2.png"])
