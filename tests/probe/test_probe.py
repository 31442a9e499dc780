"""The probe: D's features beside pixels, on pictures whose class is known."""

import json
import shutil

import keras
import numpy as np
import pytest
from helpers import refused, write_files
from PIL import Image
from tiny_gan import tiny

from dcgan_tf.common.config_file import to_toml
from dcgan_tf.common.images import encode
from dcgan_tf.models.networks import build_discriminator
from dcgan_tf.probe import command
from dcgan_tf.probe.probing import pixels_of, split, worst


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
    config = tiny(dataset="folder", crop="center", width=0.25, packs=str(root / "packs"))
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
def test_features_know_what_pixels_do_not(root):
    """Where a stripe lies changes every pixel's mean to nothing: only filters see its direction."""
    command.main(flags(root))
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
    parts = split(1000, 3)
    assert (sum(rows.astype(int) for rows in parts.values()) == 1).all()
    assert [rows.sum() for rows in parts.values()] == [200, 160, 640]
    assert all((split(1000, 3)[name] == rows).all() for name, rows in parts.items())
    assert (split(1000, 4)["test"] != parts["test"]).any()


def test_worst_pairs_are_named_with_their_counts():
    assert worst([[8, 2, 0], [0, 9, 1], [5, 0, 5]], ["a", "b", "c"]) == [
        *("c for a: 5 of 10", "a for b: 2 of 10", "b for c: 1 of 10")
    ]
    assert worst([[3, 0], [0, 3]], ["a", "b"]) == []


def test_large_pictures_are_averaged_for_the_baseline():
    pixels = np.random.RandomState(0).randint(0, 256, (300, 64, 64, 3)).astype(np.uint8)
    found = pixels_of(pixels).reshape(300, 32, 32, 3)
    expected = pixels.reshape(300, 32, 2, 32, 2, 3).mean(axis=(2, 4)) / 255
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert pixels_of(pixels[:, :28, :28]).shape == (300, 28 * 28 * 3)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"pictures": 5}, ["--pictures: got '5'", "100 or more"]),
        ({"dataset": "demo"}, ["--dataset: got 'demo'", "celeba, folder, mnist, cifar10"]),
        ({"run": "nowhere"}, ["--run nowhere/discriminator.keras", "no such file"]),
        ({"data": "nowhere"}, ["--data nowhere", "no such file or folder"]),
    ],
)
def test_mistakes_are_one_line(root, here, changes, words):
    with refused(*words):
        command.main(flags(root, **changes))


@pytest.mark.slow
def test_a_class_of_too_few_pictures_is_refused(root, tmp_path):
    files = {f"common/{k}.png": stripes(k, True) for k in range(120)}
    write_files(tmp_path / "data", files | {"rare/0.png": stripes(0, False)})
    with refused("there is none of rare", "leave its folder out"):
        command.main(flags(root, data=tmp_path / "data", out=tmp_path / "probe.json"))
    assert not (tmp_path / "probe.json").exists()


def test_a_discriminator_alone_is_refused(root, tmp_path):
    alone = tmp_path / "d.keras"
    alone.write_bytes((root / "run" / "discriminator.keras").read_bytes())
    with refused("no config.toml beside it"):
        command.main(["--model", str(alone), "--data", str(root / "data")])


def test_another_data_set_is_not_looked_for_among_the_run_s_pictures(root, here):
    with refused("mnist", "--data"):
        command.main(["--run", str(root / "run"), "--dataset", "mnist"])


@pytest.mark.slow
def test_a_discriminator_of_nan_is_one_line(root, tmp_path):
    broken = tmp_path / "run"
    shutil.copytree(root / "run", broken)
    d = keras.saving.load_model(broken / "discriminator.keras")
    d.set_weights([np.full_like(w, np.nan) for w in d.get_weights()])
    d.save(broken / "discriminator.keras")
    with refused(f"--model {broken}/discriminator.keras", "weights that are NaN"):
        command.main(flags(root, run=broken))
