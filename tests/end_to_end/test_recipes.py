"""One real epoch of every config, on real digits and faces where they are."""

import gzip

import numpy as np
import pytest
import tensorflow_datasets as tfds
from helpers import SHARED, faces_zip, needs_faces, needs_mnist
from PIL import Image

import generate
import train

SMALL = ("--width", "0.1", "--batch-size", "8", "--subset", "16", "--epochs", "1")


def train_here(monkeypatch, cwd, *flags):
    """train.py's main in this process: TensorFlow is already there."""
    monkeypatch.chdir(cwd)
    assert train.main([*SMALL, "--sample-count", "4", "--run", "run", *map(str, flags)]) in (
        0,
        None,
    )
    with Image.open(cwd / "run/samples/epoch_0001.png") as image:
        return image.size, image.mode


nightly = pytest.mark.nightly


@pytest.mark.parametrize(
    "config",
    [
        *("celeba", "radford", "faces"),
        *(pytest.param(name, marks=nightly) for name in ("laptop", "overnight")),
    ],
)
def test_face_recipes_train_on_an_archive(monkeypatch, tmp_path, config):
    archive = faces_zip(tmp_path, 16)
    made = train_here(monkeypatch, tmp_path, "--config", config, "--data", archive)
    assert made == ((520, 520), "RGB")


@nightly
@needs_faces
def test_celeba_trains_on_real_faces(monkeypatch, tmp_path):
    archive = SHARED / "faces/celeba_train_10k.zip"
    assert train_here(monkeypatch, tmp_path, "--data", archive) == ((520, 520), "RGB")
    generate.main(["--run", "run", "--n", "2", "--out", "out"])
    assert len(list((tmp_path / "out/images").iterdir())) == 2


@nightly
@needs_mnist
def test_mnist_trains_on_real_digits(monkeypatch, tmp_path):
    made = train_here(monkeypatch, tmp_path, "--config", "mnist", "--data", SHARED / "mnist")
    assert made == ((522, 522), "L")


def test_mnist_trains_on_idx_files(monkeypatch, tmp_path):
    digits = np.random.RandomState(0).randint(0, 256, (20, 28, 28), dtype=np.uint8)
    head = np.array([2051, 20, 28, 28], ">i4").tobytes()
    (tmp_path / "d").mkdir()
    (tmp_path / "d/train-images-idx3-ubyte.gz").write_bytes(gzip.compress(head + digits.tobytes()))
    made = train_here(monkeypatch, tmp_path, "--config", "mnist", "--data", "d")
    assert made == ((522, 522), "L")


def test_cifar10_trains_on_binary_batches(monkeypatch, tmp_path):
    batch = np.random.RandomState(0).randint(0, 256, (20, 3073), dtype=np.uint8)
    (tmp_path / "d").mkdir()
    (tmp_path / "d/data_batch_1.bin").write_bytes(batch.tobytes())
    made = train_here(monkeypatch, tmp_path, "--config", "cifar10", "--data", "d")
    assert made == ((528, 528), "RGB")


@pytest.mark.parametrize(
    ("config", "size"),
    [
        ("mnist", 522),
        *(pytest.param(*case, marks=nightly) for case in (("celeba", 520), ("cifar10", 528))),
    ],
)
def test_tfds_sources_train(monkeypatch, tmp_path, config, size):
    with tfds.testing.mock_data(num_examples=20):
        made = train_here(
            monkeypatch, tmp_path, "--config", config, "--data", "tfds", "--max-bad", "1"
        )
    assert made[0] == (size, size)


def test_own_pictures_of_any_shape_train(monkeypatch, tmp_path):
    (tmp_path / "own/deeper").mkdir(parents=True)
    rng = np.random.RandomState(0)
    for number in range(18):
        height, width = rng.randint(50, 300, 2)
        pixels = rng.randint(0, 256, (height, width, 3), dtype=np.uint8)
        place = tmp_path / "own" / ("deeper" if number % 2 else "") / f"{number}.png"
        Image.fromarray(pixels).save(place)
    flags = ("--dataset", "folder", "--data", "own", "--base-size", "4", "--image-size", "32")
    assert train_here(monkeypatch, tmp_path, *flags) == ((528, 528), "RGB")
