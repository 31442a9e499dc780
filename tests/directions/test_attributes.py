"""Directions of labeled attributes: the regression, the effects, and the whole command."""

import json
import re
import shutil

import keras
import numpy as np
import pytest
from helpers import face_jpeg, refused, write_files, write_zip
from PIL import Image

from dcgan_tf.common.directions import read_directions
from dcgan_tf.common.images import encode
from dcgan_tf.common.labels import Labels
from dcgan_tf.directions import attributes, command, labeled_data
from dcgan_tf.directions.__main__ import main
from dcgan_tf.directions.attributes import (
    disentangle,
    measure_effects,
    measure_score_reach,
    train_classifier,
)
from dcgan_tf.directions.command import DirectionsRequest
from dcgan_tf.directions.traversal import REACHES
from dcgan_tf.models.loading import load_generator
from dcgan_tf.models.sampling import Sampler
from dcgan_tf.models.saving import save_network

COUNT = 240
SIDE = 16


def test_disentangle_parts_what_comes_together():
    """Two scores that share a latent number: each keeps its own, and its direction no other's."""
    latents = np.random.RandomState(0).randn(20_000, 5)
    slopes = np.array([[1, 0, 1, 0, 0], [0, 1, 1, 0, 0]])
    found = disentangle((latents @ slopes.T).astype(np.float32), latents)
    assert found.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, rtol=1e-6)
    moved = found @ slopes.T
    np.testing.assert_allclose(moved, np.diag(np.diag(moved)), atol=0.03)
    assert (np.diag(moved) > 1).all()


def test_the_reach_is_where_the_score_differs_by_three_deviations():
    latents = np.random.RandomState(0).randn(50_000, 3)
    rest = np.random.RandomState(1).randn(50_000)
    first, second = np.eye(2, 3)
    half = latents[:, 0] * 0.5 + rest * 0.5
    assert measure_score_reach(half, latents, first) == pytest.approx(2.1, abs=0.1)
    shortest = measure_score_reach(5 * latents[:, 0], latents, first)
    assert shortest == REACHES[0]  # 1.5, and no shorter than 2
    none = measure_score_reach(latents[:, 0], latents, second)
    assert none == REACHES[-1]  # which changes nothing


def test_effects_are_in_deviations_and_others_come_by_size():
    gains = np.array([[2.0, -4, 0], [4, -4, 1], [-1, -4, -1], [3, -4, 0]])
    found = measure_effects(gains, np.array([2.0, 1, 1]), ["a", "b", "c"], 0)
    assert found["accuracy"] == 0.75 and found["effect"] == 1
    assert list(found["others"].items()) == [("b", -4.0), ("c", 0.0)]


@pytest.mark.slow
def test_a_classifier_learns_and_is_the_same_each_time():
    rng = np.random.RandomState(0)
    labels = (rng.rand(200, 2) < 0.5).astype(np.int8)
    pixels = rng.randint(0, 200, (200, 16, 16, 1)).astype(np.uint8)
    pixels[labels[:, 0] > 0, 4:8] += 50  # rows, so that mirroring changes nothing
    first, again = (
        train_classifier(pixels[:150], labels[:150], 3, 60, lambda: None)(pixels) for _ in range(2)
    )
    np.testing.assert_allclose(first, again, atol=1e-4)
    right = (first[150:] > 0) == labels[150:]
    assert right[:, 0].mean() > 0.9
    assert right[:, 1].mean() < 0.8  # which no pixel knows


def known(index):
    """(bool, bool, bool): dark, red, and a coin's side that no image shows."""
    return index % 2 < 1, index // 2 % 2 < 1, index * 7919 % 13 < 6


def noise(index):
    """bytes: a PNG of noise that is dark and red as `known` says."""
    dark, red, _ = known(index)
    levels = (100 if dark else 150) + (15 if red else -15) * np.array([1, 0, -1])
    pixels = np.random.RandomState(index).normal(levels, 40, (SIDE, SIDE, 3))
    return encode(Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)), "PNG")


def generator(labels=0):
    """A generator whose latent number 0 darkens the image and number 1 reddens it.

    The last is a label, if there are any, and reddens much more.
    """
    kernel = 0.05 * np.random.RandomState(0).randn(6 + labels, SIDE, SIDE, 3)
    kernel[0] -= 0.5
    kernel[1] += 0.3 * np.array([1, 0, -1])
    kernel[6:] += 2 * np.array([1, 0, -1])
    latents = keras.Input((6 + labels,))
    x = keras.layers.Dense(SIDE * SIDE * 3, name="base", use_bias=False)(latents)
    x = keras.layers.Reshape((SIDE, SIDE, 3))(keras.layers.LeakyReLU(1.0)(x))
    model = keras.Model(latents, keras.layers.Activation("sigmoid")(x))
    model.get_layer("base").set_weights([kernel.reshape(6 + labels, -1)])
    return model


@pytest.fixture(scope="module")
def labeled(tmp_path_factory):
    """A folder with two archives, a table of their images, and the run of that generator."""
    root = tmp_path_factory.mktemp("labeled")
    for name, first in (("own", 0), ("others", COUNT)):
        images = {f"x/{k}.png": noise(k) for k in range(first, first + COUNT)}
        write_zip(root / f"{name}.zip", images)
    rows = [f"{k}.png {' '.join(str(2 * m - 1) for m in known(k))}" for k in range(2 * COUNT)]
    (root / "table.txt").write_text("\n".join([str(len(rows)), "Dark Red Coin", *rows]) + "\n")
    (root / "run").mkdir()
    generator().save(root / "run" / "generator.keras")
    (root / "run" / "config.toml").write_text(
        f'dataset = "folder"\nimage_size = {SIDE}\ng_channels = [8]\ng_output = "conv"\n'
        f'crop = "center"\npacks = "{root}/packs"\n'
    )
    return root


def flags(labeled, **changes):
    given = {
        "--run": labeled / "run",
        "--attributes": labeled / "table.txt",
        "--data": labeled / "own.zip",
        "--judge-data": labeled / "others.zip",
        "--samples": 2000,
        "--n": 1,
    } | {f"--{name.replace('_', '-')}": value for name, value in changes.items()}
    return [str(part) for pair in given.items() if pair[1] is not None for part in pair]


@pytest.mark.nightly
def test_the_directions_that_a_generator_was_made_with_are_found(
    labeled, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(attributes, "STEPS", 150)
    main(flags(labeled, out=tmp_path))
    printed = capsys.readouterr().out
    assert "left out" in printed and "Coin (AUC 0." in printed
    sampler = load_generator(labeled / "run")
    found = read_directions(tmp_path / "directions.npz", sampler, "--directions")
    dark, red = found.names.index("Dark"), found.names.index("Red")
    assert found.kinds[dark] == "attribute" and "Coin" not in found.names
    assert found.vectors[dark, 0] > 0.9 and found.vectors[red, 1] > 0.9
    report = json.loads((tmp_path / "directions.json").read_text())
    record = report["directions"][dark]
    assert record["name"] == "Dark" and min(record["auc"], record["judge_auc"]) >= 0.75
    assert record["accuracy"] > 0.95 and record["effect"] > 1
    assert "Coin" in report["refused"]
    with Image.open(tmp_path / record["picture"]) as image:
        assert image.text["direction"] == "Dark"


@pytest.mark.nightly
def test_a_label_of_the_generator_has_no_direction_and_is_held(
    labeled, tmp_path, monkeypatch, caplog
):
    monkeypatch.setattr(attributes, "STEPS", 150)
    shutil.copytree(labeled / "run", tmp_path / "run")
    model = generator(1)
    model.labels = Labels(("Dark",), False, (0, 1, 1))
    save_network(model, tmp_path / "run" / "generator.keras")
    main(flags(labeled, run=tmp_path / "run"))
    assert "left out, because --label sets them: Dark" in caplog.text
    found = read_directions(tmp_path / "run/directions.npz", load_generator(tmp_path / "run"), "")
    assert found.names == ("kernel 1", "component 1", "Red")
    assert found.vectors[:2, 0].min() > 0.9 and found.vectors[2, 1] > 0.9
    assert (found.vectors[:, 6] == 0).all()
    report = json.loads((tmp_path / "run/directions.json").read_text())
    assert report["refused"]["Dark"] == "a label of the generator"
    red = report["directions"][2]
    assert red["reach"] < 3 and abs(red["others"]["Dark"]) < 0.5  # among images with one label
    model.labels = Labels(("Coin", "Red", "Dark"), False, (0,))
    save_network(model, tmp_path / "run" / "generator.keras")
    with refused("--attributes", "labels for all of its attributes; generate --label sets them"):
        main(flags(labeled, run=tmp_path / "run"))


@pytest.mark.slow
def test_mistakes_are_one_line(labeled, tmp_path):
    (tmp_path / "words.txt").write_text("some words\nand more words\n")
    for changes, words in (
        ({"attributes": None}, "--data: needs --attributes FILE"),
        ({"samples": 10}, "--samples: got '10', expected a whole number between 2000"),
        ({"crop": "9,9,3,3"}, "--crop: got '9,9,3,3', expected center or left,upper,right,lower"),
        ({"attributes": tmp_path / "words.txt"}, "expected a line of attribute names"),
    ):
        with refused(words):
            command.parse_directions(flags(labeled, **changes))
    same = tmp_path / "same.txt"
    same.write_text(re.sub(" -?1\\b", " 1", (labeled / "table.txt").read_text()))
    with refused("--attributes", "none of Dark, Red, Coin has 8 images with and without the"):
        main(flags(labeled, attributes=same))
    best = labeled / "run" / "best" / "generator.keras"  # its crop is that of its run
    write_files(labeled, {best: (labeled / "run" / "generator.keras").read_bytes()})
    few = write_zip(tmp_path / "few.zip", {f"{k}.png": noise(k) for k in range(9)})
    with refused("9 images with attributes, expected 64 or more"):
        main(flags(labeled, run=None, model=best, judge_data=few, out=tmp_path))
    assert not (labeled / "run" / "directions.npz").exists()
    assert not (tmp_path / "directions.npz").exists()


def test_missing_images_and_crops_are_refused_before_tensorflow(labeled, here, monkeypatch):
    start = "dcgan_tf.directions.__main__.start_tensorflow"
    monkeypatch.setattr(start, lambda: pytest.fail("TensorFlow is started"))
    for flag in ("--data", "--judge-data"):
        with refused(f"{flag} none.zip: no such file or folder"):
            main([*flags(labeled), flag, "none.zip"])
    (here / "alone.keras").write_bytes((labeled / "run" / "generator.keras").read_bytes())
    with refused("--model alone.keras: no config.toml next to it", "add --crop"):
        main(flags(labeled, run=None, model="alone.keras"))


@pytest.fixture
def demo(tmp_path):
    """A run of drawn faces, and a table of two images beside it."""
    config = f'dataset = "demo"\ncrop = "30,55,150,175"\npacks = "{tmp_path}/packs"\n'
    files = {"run/config.toml": config, "run/generator.keras": ""}  # which nothing reads here
    files["table.txt"] = "Dark Bald\n000001.jpg 1 -1\n000002.jpg -1 1\n"
    return write_files(tmp_path, {name: text.encode() for name, text in files.items()})


def read(demo, *data):
    """The names and the labeled images of one data set, or of two."""
    model, table = demo / "run" / "generator.keras", demo / "table.txt"
    request = DirectionsRequest(model, demo, 1, table, *map(str, data))
    return labeled_data.read_labeled_images(table, request, Sampler(generator()))


def test_drawn_faces_have_no_attributes_but_those_of_data_do(demo):
    with refused("--attributes", "trained on demo", "add --data PATH"):
        command.parse_directions(flags(demo, data=None, judge_data=None))
    command.parse_directions(flags(demo, data=demo / "own.zip"))
    others = write_zip(demo / "others.zip", {f"x/{k}.jpg": b"never read" for k in range(70)})
    with refused("has none of the 70 images, such as x/0.jpg"):
        read(demo, others)
    assert not (demo / "packs").exists()  # refused before these are packed


def test_labels_belong_to_their_images_whatever_is_packed_of_them(demo, monkeypatch):
    monkeypatch.setattr(labeled_data, "MOST", 11)
    monkeypatch.setattr(labeled_data, "FEWEST", 1)
    images = {f"x/{k}.jpg": face_jpeg(k) for k in range(12)} | {"x/7.jpg": b"none"}
    names = ["Even", "Large"]
    rows = [f"{k}.jpg {1 - k % 2} {int(k > 3)}" for k in range(12) if k != 2]
    (demo / "table.txt").write_text("\n".join([" ".join(names), *rows]) + "\n")
    both = [write_zip(demo / f"{part}.zip", images) for part in ("own", "others")]
    found, own, others = read(demo, *both)
    manifest = json.loads(next((demo / "packs").glob("*/manifest.json")).read_text())
    numbers = [int(name[2:-4]) for name in manifest["names"]]
    assert found == names and len(numbers) >= 10 and manifest["crop"] == "30,55,150,175"
    expected = [[1 - k % 2, k > 3] for k in numbers if k != 2]
    np.testing.assert_array_equal(own.labels, expected)
    assert len(own.pixels) == len(own.labels) == len(others.labels)
    _, own, others = read(demo, both[0])  # of one data set, a part each
    np.testing.assert_array_equal([*own.labels, *others.labels], expected)
