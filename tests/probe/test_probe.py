"""The probe: D's features beside pixels, on pictures whose class is known."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
from helpers import refused, write_files
from PIL import Image
from tiny_gan import tiny

from dcgan_tf.common.config_file import read_config, to_toml
from dcgan_tf.common.images import encode
from dcgan_tf.common.runs import Run
from dcgan_tf.data.pack import open_pack
from dcgan_tf.data.sources import open_source
from dcgan_tf.models.networks import build_discriminator
from dcgan_tf.probe import command, probing
from dcgan_tf.probe.__main__ import main
from dcgan_tf.probe.probing import average_down, seen_in_training, split, worst


def stripes(index, upright):
    """bytes: a PNG of noisy stripes, upright or lying, at a place and of a strength of chance."""
    rng = np.random.RandomState(index)
    wave = np.sin(np.arange(64) * 1.2 + rng.rand() * 6)
    picture = np.tile(wave if upright else wave[:, None], (64, 1) if upright else (1, 64))
    picture = 128 + 60 * picture + 20 * rng.randn(64, 64)
    return encode(Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8)), "PNG")


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A run with an untrained discriminator, and 60 striped pictures of each of two classes."""
    root = tmp_path_factory.mktemp("probe")
    places = {"data": str(root / "data"), "packs": str(root / "packs")}
    config = tiny(dataset="folder", crop="center", d_channels=(16, 32), **places)
    (root / "run").mkdir()
    build_discriminator(config).save(root / "run" / "discriminator.keras")
    (root / "run" / "config.toml").write_text(to_toml(config))
    write_files(
        root / "data",
        {
            f"{('lying', 'upright')[k % 2]}/{k:03d}.png": stripes(k, upright=k % 2)
            for k in range(240)
        },
    )
    return root


def flags(root, **changes):
    given = {"--run": root / "run", "--data": root / "data"}
    given |= {f"--{name}": value for name, value in changes.items()}
    return [str(part) for pair in given.items() for part in pair]


@pytest.mark.slow
def test_features_know_what_pixels_do_not(root, caplog):
    """Where a stripe lies changes every pixel's mean to nothing: only filters see its direction."""
    main(flags(root))
    assert "these images trained this discriminator, without their labels" in caplog.text
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


def test_the_split_is_by_chance_whole_and_the_same_again():
    labels = np.arange(1000) % 2
    known, test = split(["a", "b"], labels, 3, "")
    assert sorted([*known, *test]) == list(range(1000)) and len(test) == 200
    assert all(map(np.array_equal, split(["a", "b"], labels, 3, ""), (known, test)))
    assert not np.array_equal(split(["a", "b"], labels, 4, "")[1], test)


def test_worst_pairs_are_named_with_their_counts():
    assert worst([[8, 2, 0], [0, 9, 1], [5, 0, 5]], ["a", "b", "c"]) == [
        *("c for a: 5 of 10", "a for b: 2 of 10", "b for c: 1 of 10")
    ]
    assert worst([[3, 0], [0, 3]], ["a", "b"]) == []


def test_large_pictures_are_averaged_for_the_baseline():
    pixels = np.random.RandomState(0).randint(0, 256, (300, 64, 64, 3)).astype(np.uint8)
    found = average_down(pixels).reshape(300, 32, 32, 3)
    expected = pixels.reshape(300, 32, 2, 32, 2, 3).mean(axis=(2, 4)) / 255
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert average_down(pixels[:, :28, :28]).shape == (300, 28 * 28 * 3)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"pictures": 5}, ["--pictures: got '5'", "between 100 and"]),
        ({"dataset": "demo"}, ["--dataset: invalid choice: 'demo'"]),
        ({"run": "nowhere"}, ["--run nowhere: no such run; there is no run in runs"]),
        ({"data": "few"}, ["--data few", "99 images, expected 100 or more"]),
        ({"data": "nowhere"}, ["--data nowhere", "no such file or folder"]),
    ],
)
def test_mistakes_are_one_line(root, here, changes, words):
    write_files(here / "few", {f"{'ab'[k % 2]}/{k}.png": b"" for k in range(99)})
    with refused(*words):
        main(flags(root, **changes))


@pytest.mark.slow
def test_a_class_of_too_few_pictures_is_refused(root, tmp_path):
    files = {f"common/{k}.png": stripes(k, True) for k in range(120)}
    write_files(tmp_path / "data", files | {"rare/0.png": stripes(0, False)})
    with refused("there is none of rare", "leave its folder out"):
        main(flags(root, data=tmp_path / "data", out=tmp_path / "probe.json"))
    assert not (tmp_path / "probe.json").exists()


@pytest.fixture
def said(root, tmp_path):
    """A function: what a run that was trained on tmp_path/own says of a data set."""
    for folder, first in (("own", 0), ("others", 100)):
        names = {f"{'ab'[k % 2]}/{k}.png": stripes(first + k, upright=k % 2) for k in range(10)}
        write_files(tmp_path / folder, names)
    shutil.copytree(root / "run", tmp_path / "run")
    run = Run(tmp_path / "run")
    places = {"data": str(tmp_path / "own"), "packs": str(tmp_path / "packs")}
    own = replace(read_config(run.config), subset=0, **places)
    run.config.write_text(to_toml(own))

    def said(data):
        config = replace(own, data=str(data))
        return seen_in_training(run, config, open_pack(config, open_source(config)))

    return said


def test_it_is_said_where_the_images_trained_d_however_they_were_typed(said, tmp_path, monkeypatch):
    assert said(tmp_path / "own") == "these images"
    monkeypatch.chdir(tmp_path)
    assert said("others/../own") == "these images"
    assert said("others") == ""
    text = Path("run/config.toml").read_text()
    Path("run/config.toml").write_text(re.sub("^subset = .*", "subset = 5", text, flags=re.M))
    assert said("own") == "some of these images"


def test_it_is_said_of_images_that_were_moved_since(said, tmp_path, monkeypatch):
    said(tmp_path / "own")  # which leaves a pack, as the training does
    manifest = json.loads(next((tmp_path / "packs").glob("*/manifest.json")).read_text())
    monkeypatch.setattr(probing, "read_journal", lambda run: manifest)
    (tmp_path / "own").rename(tmp_path / "moved")
    assert said(tmp_path / "moved") == "these images"
    assert said(tmp_path / "others") == ""


def test_images_without_classes_are_refused_before_they_are_packed(root, tmp_path):
    write_files(tmp_path / "flat", {f"{k}.png": stripes(k, upright=True) for k in range(100)})
    with refused(f"--data {tmp_path / 'flat'}", "images of 1 classes"):
        main(flags(root, data=tmp_path / "flat", packs=tmp_path / "packs"))
    assert not (tmp_path / "packs").exists()


@pytest.mark.parametrize("data", [[], ["--data", "digits"]])
def test_a_run_of_drawn_faces_needs_other_pictures(tmp_path, data):
    (tmp_path / "discriminator.keras").touch()  # read by nothing here
    (tmp_path / "config.toml").write_text('dataset = "demo"\n')
    with refused(str(tmp_path), "trained on demo", "--dataset celeba|folder|mnist|cifar10"):
        command.parse_probe(["--run", str(tmp_path), *data])
    command.parse_probe(["--run", str(tmp_path), "--data", "digits", "--dataset", "mnist"])


@pytest.mark.parametrize(
    ("out", "words"), [("folder", "such as"), ("file/probe.json", "is no folder, expected one")]
)
def test_what_is_in_the_way_is_refused_before_any_work(root, tmp_path, out, words):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    with refused(f"--out {tmp_path / out}", words):
        command.parse_probe(flags(root, out=tmp_path / out))


def test_a_discriminator_alone_is_refused(root, tmp_path):
    alone = tmp_path / "d.keras"
    alone.write_bytes((root / "run" / "discriminator.keras").read_bytes())
    with refused("no config.toml beside it"):
        main(["--model", str(alone), "--data", str(root / "data")])


def test_another_data_set_is_not_looked_for_among_the_run_s_pictures(root, here):
    with refused("mnist", "--data"):
        main(["--run", str(root / "run"), "--dataset", "mnist"])


@pytest.mark.slow
def test_a_discriminator_of_nan_is_one_line(root, tmp_path):
    broken = tmp_path / "run"
    shutil.copytree(root / "run", broken)
    d = keras.saving.load_model(broken / "discriminator.keras")
    d.set_weights([np.full_like(w, np.nan) for w in d.get_weights()])
    d.save(broken / "discriminator.keras")
    with refused(f"--model {broken}/discriminator.keras", "weights that are NaN"):
        main(flags(root, run=broken))
