"""MNIST and CIFAR-10 as they are spread: images and labels in raw arrays, whole or refused."""

import gzip
import hashlib
import io
import struct
import zipfile
import zlib

import numpy as np
import pytest
from helpers import MNIST, little_memory, needs_mnist, refused, write_files, write_zip
from PIL import Image
from raw_files import cifar_batches, digits, idx, idx_files, npy, npz, tar, zipped

from dcgan_tf.common.config import Config
from dcgan_tf.data.labels import read_classes
from dcgan_tf.data.sources import open_source, recognize


def opened(data, dataset):
    return open_source(Config(dataset=dataset, data=str(data)))


def pixels_of(source):
    read = source.read(range(len(source.names)))
    return np.stack([np.asarray(Image.open(io.BytesIO(encoded))) for _, encoded in read])


# MNIST


def dotted(files):
    return {name.replace("-idx", ".idx"): content for name, content in files.items()}


def boxed(files):
    return {f"{name}/{name}": content for name, content in files.items()}


MNISTS = {
    "torchvision": idx_files("MNIST/raw/") | idx_files("MNIST/raw/", packed=False),
    "kaggle": dotted(idx_files(packed=False)) | boxed(idx_files(packed=False)),
    "zip": {"archive.zip": zipped(idx_files() | {"__MACOSX/._t10k-images-idx3-ubyte.gz": b""})},
    "tar": {"mnist.tar.gz": tar(idx_files("mnist/"))},
    "keras": {"mnist.npz": zipped(npz())},
    "npy": {"arrays/" + name: content for name, content in npz().items()},
}


def test_arrays_with_an_axis_of_one_channel_are_gray_and_other_shapes_are_refused(tmp_path):
    pixels = digits()[0]
    (tmp_path / "keras").mkdir()
    np.save(tmp_path / "keras/x_train.npy", pixels[..., None])
    assert recognize(Config(dataset="auto", data=str(tmp_path / "keras"))).dataset == "mnist"
    np.testing.assert_array_equal(pixels_of(opened(tmp_path / "keras", "mnist")), pixels)
    for shape in ((5, 3, 32, 32), (5, 28, 28, 2)):
        np.save(tmp_path / "keras/x_train.npy", np.zeros(shape, np.uint8))
        with refused(f"arrays of shape {shape}, expected (n, height, width)"):
            opened(tmp_path / "keras", "mnist")


@pytest.mark.parametrize("kind", MNISTS)
def test_mnist_in_any_form_is_the_same_with_its_labels(kind, tmp_path):
    source = opened(write_files(tmp_path, MNISTS[kind]), "mnist")
    pixels, labels = digits()
    np.testing.assert_array_equal(pixels_of(source), pixels)
    assert source.fingerprint == hashlib.sha256(pixels).hexdigest()
    classes, found = read_classes(source, source.names, 10)
    assert [int(classes[number]) for number in found] == labels.tolist()
    if len(MNISTS[kind]) == 1:  # the archive itself
        assert opened(tmp_path / next(iter(MNISTS[kind])), "mnist").fingerprint
    images = write_files(tmp_path / "images", {"7/a.png": b"A"})  # or image files
    assert opened(images, "mnist").names == ["7/a.png"]


def test_data_sets_and_sizes_are_never_mixed(tmp_path):
    write_files(tmp_path, idx_files("MNIST/raw/") | idx_files("FashionMNIST/raw/"))
    with refused("2 folders", "FashionMNIST/raw, MNIST/raw", "give one of them"):
        opened(tmp_path, "mnist")
    assert len(opened(tmp_path / "MNIST", "mnist").names) == 5
    sizes = {"a-images-idx3-ubyte": (1, 28, 28), "b-images-idx3-ubyte": (1, 28, 14)}
    files = {name: idx(np.zeros(shape, np.uint8)) for name, shape in sizes.items()}
    with refused("28x28 in a-images", "14x28 in b-images"):
        opened(write_files(tmp_path / "two", files), "mnist")


@needs_mnist
def test_real_digits():
    source = opened(MNIST, "mnist")
    assert len(source.names) == 10_000
    (_, first), (_, last) = source.read([0, 9_999])
    raw = gzip.decompress((MNIST / "t10k-images-idx3-ubyte.gz").read_bytes())
    assert np.asarray(Image.open(io.BytesIO(first))).tobytes() == raw[16 : 16 + 784]
    assert np.asarray(Image.open(io.BytesIO(last))).tobytes() == raw[-784:]


def header(*shape, magic=2051):
    return struct.pack(">4i", magic, *shape)


IDX = {
    "negative": header(-1, -28, -28) + bytes(784),
    "wraps to 784": header(2**16 + 1, 2**16, 784) + bytes(784),
    "none": header(0, 28, 28),
    "claims 1 GB and more": header(2_000_000, 28, 28),
    "short": header(2, 28, 28) + bytes(784),
    "long": header(1, 28, 28) + bytes(785),
    "labels": header(1, 28, 28, magic=2049) + bytes(784),
    "empty": b"",
}


@pytest.mark.parametrize("packed", [False, True])
def test_wrong_idx_files_are_refused_by_name(packed, tmp_path):
    name, whole = "a-images-idx3-ubyte" + ".gz" * packed, idx(digits()[0])
    for kind, content in IDX.items():
        write_files(tmp_path, {name: gzip.compress(content) if packed else content})
        claims = kind.startswith(("claims", "wraps "))
        with refused(name, "claims" if claims else "download it again"):
            opened(tmp_path, "mnist")
    damaged = bytearray(gzip.compress(whole))
    damaged[30] ^= 255
    for content in (damaged, gzip.compress(whole)[:-20], whole, b"") if packed else ():
        with refused(name, "download it again"):
            opened(write_files(tmp_path, {name: content}), "mnist")


def bomb(start):
    """gzip of `start` and 64 MB of zeros."""
    pack = zlib.compressobj(9, wbits=31)
    parts = [pack.compress(start), *(pack.compress(bytes(1 << 20)) for _ in range(64))]
    return b"".join(parts) + pack.flush()


def test_a_gzip_bomb_is_read_no_further_than_it_claims(tmp_path):
    write_files(tmp_path, {"a-images-idx3-ubyte.gz": bomb(header(3, 28, 28))})
    with little_memory(), refused("not a whole IDX"):
        opened(tmp_path, "mnist")


def test_a_zip_that_claims_more_than_is_read_is_refused_unread(tmp_path, monkeypatch):
    path, claimed = write_zip(tmp_path / "x.zip", {"data_batch_1.bin": b""}), 3 * 10**15
    whole = bytearray(path.read_bytes())
    start = whole.index(b"PK\1\2")  # the entry in the list of names, with its sizes in an extra
    whole[start + 24 : start + 28], whole[start + 30 : start + 32] = b"\xff" * 4, b"\x0c\0"
    end = start + 46 + len("data_batch_1.bin")
    whole[end:end] = struct.pack("<HHQ", 1, 8, claimed)
    end = whole.index(b"PK\5\6")
    whole[end + 12 : end + 16] = struct.pack("<I", end - start)
    path.write_bytes(whole)
    monkeypatch.setattr(zipfile.ZipExtFile, "read", lambda *a: pytest.fail("read"))
    monkeypatch.setattr(zipfile.ZipExtFile, "seek", lambda *a: pytest.fail("read"))
    with refused("claims", "more than the 1.1 GB that are read"):
        opened(path, "cifar10")


def test_arrays_with_code_or_of_another_kind_are_refused(tmp_path):
    for name, array in {"code": np.array([print]), "float": np.zeros((2, 4, 4))}.items():
        path = write_zip(tmp_path / f"{name}.npz", {"x_train.npy": npy(array)})
        with refused(str(path / "x_train.npy"), "not a whole uint8 NumPy image file"):
            opened(path, "mnist")


def test_labels_that_are_not_there_or_too_few_are_named(tmp_path):
    write_files(tmp_path, {"x_train.npy": npy(digits()[0])})
    with refused("no labels next to the images"):
        read_classes(opened(tmp_path, "mnist"), ["000000"], 10)
    write_files(tmp_path, {"y_train.npy": npy(digits()[1][:4])})
    with refused("y_train.npy", "4 labels, expected 5"):
        read_classes(opened(tmp_path, "mnist"), ["000000"], 10)


# CIFAR-10


@pytest.mark.parametrize("mode", ["w:gz", "w"])
def test_cifar_as_its_authors_spread_it(mode, tmp_path):
    files = cifar_batches(10_000)  # its true size
    write_files(tmp_path, {"cifar-10-binary.tar.gz": tar(files, mode)})
    source = opened(tmp_path / "cifar-10-binary.tar.gz", "cifar10")
    assert len(source.names) == 10_000 and set(source.labels()) == {6}
    write_files(tmp_path / "unpacked", files)
    write_zip(tmp_path / "x.zip", files)
    (tmp_path / "alone").mkdir()
    (tmp_path / "cifar-10-binary.tar.gz").rename(tmp_path / "alone/cifar-10-binary.tar.gz")
    for other in ("alone", "unpacked", "x.zip"):
        assert opened(tmp_path / other, "cifar10").fingerprint == source.fingerprint


def test_cifar_batches_are_planar_colors_after_a_label(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (5, 32, 32, 3), dtype=np.uint8)
    records = [bytes([9]) + image.transpose(2, 0, 1).tobytes() for image in pixels]
    files = {"data_batch_1.bin": b"".join(records[:3]), "test_batch.bin": b"".join(records[3:])}
    source = opened(write_files(tmp_path, files | {"batches.meta.txt": b"airplane"}), "cifar10")
    np.testing.assert_array_equal(pixels_of(source), pixels)
    assert source.labels().tolist() == [9] * 5


def test_a_damaged_batch_or_a_tar_that_is_cut_is_refused_by_name(tmp_path):
    for content in (b"", b"\0" * 3072, b"\0" * 3074):
        write_files(tmp_path, {"data_batch_1.bin": content})
        with refused("data_batch_1.bin", "download it again"):
            opened(tmp_path, "cifar10")
    for content in (tar(cifar_batches())[:-40], tar(cifar_batches(), "w")[:4000], b"\x1f\x8b"):
        (tmp_path / "c.tar.gz").write_bytes(content)
        with refused("c.tar.gz", "download it again"):
            opened(tmp_path / "c.tar.gz", "cifar10")
