"""The probe: D's features beside pixels, on images whose class is known."""

import json
import re
import shutil
from dataclasses import replace

import keras
import numpy as np
import pytest
from helpers import refused, write_files
from PIL import Image
from tiny_gan import tiny

from dcgan_tf.common.config_file import read_config, to_toml
from dcgan_tf.common.images import encode
from dcgan_tf.common.labels import Labels
from dcgan_tf.common.runs import Run
from dcgan_tf.data.pack import open_pack
from dcgan_tf.data.sources import open_source
from dcgan_tf.models.networks import build_discriminator
from dcgan_tf.probe import command, probing
from dcgan_tf.probe.__main__ import main
from dcgan_tf.probe.probing import average_down, seen_in_training, worst


def stripes(index, upright):
    """bytes: a PNG of noisy stripes, upright or lying, at a place and of a strength of chance."""
    rng = np.random.RandomState(index)
    wave = np.sin(np.arange(64) * 1.2 + rng.rand() * 6)
    image = np.tile(wave if upright else wave[:, None], (64, 1) if upright else (1, 64))
    image = 128 + 60 * image + 20 * rng.randn(64, 64)
    return encode(Image.fromarray(np.clip(image, 0, 255).astype(np.uint8)), "PNG")


def classes(folder, count, first=0):
    """A folder of striped images, in turn of two classes."""
    sides = ("lying", "upright")
    images = {f"{sides[k % 2]}/{k:03d}.png": stripes(first + k, k % 2) for k in range(count)}
    return write_files(folder, images)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A run with an untrained discriminator, and 120 striped images of each of two classes."""
    root = tmp_path_factory.mktemp("probe")
    places = {"data": str(root / "data"), "packs": str(root / "packs")}
    config = tiny(dataset="folder", crop="center", d_channels=(16, 32), **places)
    (root / "run").mkdir()
    build_discriminator(config).save(root / "run" / "discriminator.keras")
    (root / "run" / "config.toml").write_text(to_toml(config))
    classes(root / "data", 240)
    return root


def flags(root, **changes):
    given = {"--run": root / "run", "--data": root / "data"}
    given |= {f"--{name}": value for name, value in changes.items()}
    return [str(part) for pair in given.items() for part in pair]


@pytest.mark.slow
def test_features_know_what_pixels_do_not(root, caplog):
    """Where a stripe lies changes every pixel's mean to nothing: only filters see its direction."""
    main(flags(root))
    assert "D was trained on some of these images, without their labels" in caplog.text
    record = json.loads((root / "run" / "probe.json").read_text())
    assert record["classes"] == ["lying", "upright"]
    assert record["counts"] == {"test": 48, "choose": 38, "fit": 154}
    features, pixels = record["results"]["features of D"], record["results"]["pixels"]
    assert features["accuracy"] >= 0.95 and pixels["accuracy"] < 0.8
    for result in (features, pixels):
        low, high = result["interval"]
        assert low <= result["accuracy"] <= high
        confusion = np.array(result["confusion"])
        assert confusion.sum() == 48
        assert np.trace(confusion) / 48 == pytest.approx(result["accuracy"], abs=1e-5)
    assert pixels["numbers"] == 32 * 32 * 3
    main(flags(root, out=root / "again.json"))
    assert json.loads((root / "again.json").read_text()) == record


@pytest.mark.slow
def test_a_d_with_labels_is_read_before_them(root, tmp_path, caplog):
    config = replace(read_config(root / "run" / "config.toml"), labels="class")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.toml").write_text(to_toml(config))
    plain = keras.saving.load_model(root / "run" / "discriminator.keras")
    d = build_discriminator(config, labels=Labels(("lying", "upright"), True, (0, 1)))
    d.set_weights([*plain.get_weights()[:-2], *d.get_weights()[-2:]])
    d.save(tmp_path / "run" / "discriminator.keras")
    main(flags(root, run=tmp_path / "run"))
    assert "D was trained on some of these images, with their labels" in caplog.text
    main(flags(root, out=tmp_path / "plain.json"))
    found, other = (
        json.loads((tmp_path / f).read_text()) for f in ("run/probe.json", "plain.json")
    )
    assert found["results"] == other["results"]


def test_worst_pairs_are_named_and_large_images_are_averaged_for_the_baseline():
    pairs = ["c for a: 5 of 10", "a for b: 2 of 10", "b for c: 1 of 10"]
    assert worst([[8, 2, 0], [0, 9, 1], [5, 0, 5]], ["a", "b", "c"]) == pairs
    pixels = np.random.RandomState(0).randint(0, 256, (30, 64, 64, 3)).astype(np.uint8)
    found = average_down(pixels).reshape(30, 32, 32, 3)
    expected = pixels.reshape(30, 32, 2, 32, 2, 3).mean(axis=(2, 4)) / 255
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert average_down(pixels[:, :28, :28]).shape == (30, 28 * 28 * 3)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"pictures": 5}, ["--pictures: got '5'", "100"]),
        ({"dataset": "auto"}, ["--dataset: ", "'auto'", "'mnist', 'cifar10')"]),
        ({"data": "nowhere"}, ["--data nowhere", "no such file or folder"]),
        ({"data": "flat"}, ["--data flat", "images of 1 classes"]),
        ({"data": "few"}, ["--data few", "99 images, expected 100 or more"]),
        ({"data": "tfds"}, ["--data tfds", "labels are read from files"]),  # not downloaded first
        ({"data": "kaggle", "dataset": "celeba"}, ["--data kaggle", "give the folder with"]),
        ({"out": "flat"}, ["--out flat", "such as"]),
        ({"out": "file/probe.json"}, ["--out file", "is not a folder"]),
    ],
)
def test_mistakes_are_one_line_before_any_work(root, here, changes, words):
    write_files(here, {f"flat/{k}.png": b"" for k in range(100)} | {"file": b""})
    write_files(here / "few", {f"{'ab'[k % 2]}/{k}.png": b"" for k in range(99)})
    with refused(*words):
        main(flags(root, packs="packs") + flags(root, **changes))
    assert not (here / "packs").exists()


@pytest.mark.slow
def test_networks_and_images_that_cannot_be_probed_are_one_line(root, tmp_path):
    write_files(classes(tmp_path / "data", 100), {"rare/0.png": stripes(0, False)})
    with refused("1 images of rare, expected 10 or more", "leave its folder out"):
        main(flags(root, data=tmp_path / "data", out=tmp_path / "probe.json"))
    assert not (tmp_path / "probe.json").exists()
    with refused("mnist", "--data"):  # which is not looked for among the run's images
        main(["--run", str(root / "run"), "--dataset", "mnist", "--packs", str(tmp_path)])
    broken = tmp_path / "run"
    shutil.copytree(root / "run", broken)
    d = keras.saving.load_model(broken / "discriminator.keras")
    d.set_weights([np.full_like(w, np.nan) for w in d.get_weights()])
    d.save(broken / "discriminator.keras")
    with refused(f"--model {broken}/discriminator.keras", "weights that are NaN"):
        main(flags(root, run=broken))
    (broken / "config.toml").unlink()
    with refused("no config.toml next to it"):
        main(["--model", str(broken / "discriminator.keras"), "--data", str(root / "data")])


def test_it_is_said_where_the_images_trained_d_wherever_they_lie_now(root, tmp_path, monkeypatch):
    for name, first in (("own", 0), ("others", 100)):
        classes(tmp_path / name, 10, first)
    shutil.copytree(root / "run", tmp_path / "run")
    run = Run(tmp_path / "run")
    places = {"data": str(tmp_path / "own"), "packs": str(tmp_path / "packs")}
    own = replace(read_config(run.config), subset=0, **places)
    run.config.write_text(to_toml(own))

    def said(data):
        config = replace(own, data=str(tmp_path / data))
        pack = open_pack(config, open_source(config))
        return seen_in_training(run, pack, config.data)

    assert said("own") == "these images" and said("others") == ""  # no checkpoint tells
    manifest = open_pack(own, open_source(own)).manifest
    monkeypatch.setattr(probing, "read_journal", lambda run: manifest)
    (tmp_path / "own").rename(tmp_path / "moved")
    assert said("moved") == "these images" and said("others") == ""
    text = run.config.read_text()
    run.config.write_text(re.sub("^subset = .*", "subset = 5", text, flags=re.M))
    assert said("moved") == "some of these images"


def test_a_run_of_drawn_faces_needs_other_images(tmp_path):
    (tmp_path / "discriminator.keras").touch()  # read by nothing here
    (tmp_path / "config.toml").write_text('dataset = "demo"\n')
    run = ["--run", str(tmp_path), "--data", "digits"]
    with refused(f"{tmp_path}", "trained on demo", "--dataset celeba|folder|mnist|cifar10"):
        command.parse_probe(run)
    assert command.parse_probe([*run, "--dataset", "mnist"]).dataset == "mnist"
