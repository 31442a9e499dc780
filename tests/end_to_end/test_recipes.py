"""One real epoch of every config, on real digits and faces where they are."""

import gzip

import numpy as np
import pytest
import tensorflow_datasets as tfds
from helpers import kaggle_faces, write_files, write_zip
from PIL import Image

import train

SMALL = ("--width", "0.1", "--batch-size", "8", "--subset", "16", "--epochs", "1")


def train_here(monkeypatch, cwd, *flags):
    """train.py's main in this process: TensorFlow is already there."""
    monkeypatch.chdir(cwd)
    assert not train.main([*SMALL, "--sample-count", "4", "--run", "run", *map(str, flags)])
    with Image.open(cwd / "run/samples/epoch_0001.png") as image:
        return image.size, image.mode


RANDOM = np.random.RandomState(0)
nightly = pytest.mark.nightly


@pytest.mark.parametrize(
    "config",
    [
        *("celeba", "faces"),
        *(pytest.param(name, marks=nightly) for name in ("radford", "ttur", "laptop", "overnight")),
        pytest.param("faces-labels", marks=nightly),
    ],
)
def test_face_recipes_train_on_an_archive(monkeypatch, tmp_path, config):
    rows = ["image_id,Smiling,Male,Eyeglasses", *(f"{k:06d}.jpg,1,-1,1" for k in range(1, 17))]
    table = {"list_attr_celeba.csv": "\n".join(rows)}
    archive = write_zip(tmp_path / "archive.zip", kaggle_faces(16) | table)
    made = train_here(monkeypatch, tmp_path, "--config", config, "--data", archive)
    assert made == ((520, 520), "RGB")


IDX = np.array([2051, 20, 28, 28], ">i4").tobytes() + RANDOM.bytes(20 * 28 * 28)


@pytest.mark.parametrize(
    ("config", "name", "content", "made"),
    [
        ("mnist", "train-images-idx3-ubyte.gz", gzip.compress(IDX), ((522, 522), "L")),
        ("cifar10", "data_batch_1.bin", RANDOM.bytes(20 * 3073), ((528, 528), "RGB")),
    ],
    ids=["mnist", "cifar10"],
)
def test_files_as_their_authors_spread_them_train(
    monkeypatch, tmp_path, config, name, content, made
):
    write_files(tmp_path / "d", {name: content})
    assert train_here(monkeypatch, tmp_path, "--config", config, "--data", "d") == made


@pytest.mark.parametrize(
    ("config", "size"),
    [
        ("mnist", 522),
        *(pytest.param(*case, marks=nightly) for case in (("celeba", 520), ("cifar10", 528))),
    ],
)
def test_tfds_sources_train(monkeypatch, tmp_path, config, size):
    flags = ("--config", config, "--data", "tfds", "--max-bad", "1")
    with tfds.testing.mock_data(num_examples=20):
        assert train_here(monkeypatch, tmp_path, *flags)[0] == (size, size)


def test_own_images_of_any_shape_train(monkeypatch, tmp_path):
    rng = np.random.RandomState(0)
    for number in range(18):
        pixels = rng.randint(0, 256, (*rng.randint(50, 300, 2), 3), dtype=np.uint8)
        place = tmp_path / "own" / ("deeper" if number % 2 else "") / f"{number}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(place)
    flags = ("--dataset", "folder", "--data", "own", "--base-size", "4", "--image-size", "32")
    assert train_here(monkeypatch, tmp_path, *flags) == ((528, 528), "RGB")
