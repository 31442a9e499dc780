"""Features of images and their cache on disk."""

import random
import resource

import keras
import numpy as np
import pytest
from tiny_inception import TinyInception

from dcgan_tf.evaluate.image_sets import generated
from dcgan_tf.metrics import features

FILES = ("entry.json", "statistics.npz", "features.npy", "logits.npy")


def some_images(seed=0, count=40):
    pixels = np.random.default_rng(seed).integers(0, 256, (count, 8, 8, 3), np.uint8)
    made_by = {"seed": seed, "crop": "center", "size": 8, "channels": 3, "filter": "none"}
    return features.Images("random", count, made_by, lambda: np.array_split(pixels, 3))


def test_features_are_computed_once_and_are_those_of_the_images(tmp_path):
    network, images = TinyInception(("mixed_7", "pool_3", "logits")), some_images()
    first, again = (
        features.extract(images, network, "pool_3", tmp_path, lambda n: None) for _ in range(2)
    )
    assert network.images == 40
    for found in (first, again):
        assert found.features.shape == (40, 48) and found.logits.shape == (40, 5)
        assert isinstance(found.features, np.memmap)
        np.testing.assert_allclose(found.statistics.mean, found.features.mean(0), rtol=1e-5)
    pixels = np.concatenate(list(images.read()))
    expected = next(TinyInception().features([pixels], ["mixed_7"]))["mixed_7"]
    assert np.array_equal(again.features, expected)
    assert not list(tmp_path.glob(".making*"))


def test_cache_key_has_images_count_layer_and_weights(tmp_path):
    layers = ("mixed_7", "pool_3")
    for number, (images, network, layer) in enumerate(
        [
            (some_images(), TinyInception(layers), "mixed_7"),
            (some_images(1), TinyInception(layers), "mixed_7"),
            (some_images(0, 39), TinyInception(layers), "mixed_7"),
            (some_images(), TinyInception(layers), "pool_3"),
            (some_images(), TinyInception(layers, "another"), "mixed_7"),
        ],
        start=1,
    ):
        features.extract(images, network, layer, tmp_path, lambda n: None)
        assert len(list(tmp_path.glob("*/entry.json"))) == number


def test_cached_images_are_those_of_the_precision_that_made_them():
    """The same weights draw other images in half precision."""
    keys = []
    for dtype in ("float32", "mixed_bfloat16"):
        latents = keras.Input((7,))
        dense = keras.layers.Dense(64, "tanh", kernel_initializer="ones", dtype=dtype)(latents)
        pixels = keras.layers.Reshape((8, 8, 1), dtype="float32")(dense)
        keys.append(generated(keras.Model(latents, pixels), 4).made_by)
    assert keys[0] != keys[1]
    assert keys[0]["generator_sha256"] == keys[1]["generator_sha256"]


def test_an_entry_that_was_broken_off_leaves_nothing(tmp_path):
    network, images = TinyInception(), some_images()

    def broken():
        yield next(iter(images.read()))
        raise OSError("gone")

    torn = features.Images("torn", images.count, images.made_by, broken)
    with pytest.raises(OSError, match="gone"):
        features.extract(torn, network, "mixed_7", tmp_path, lambda n: None)
    assert not list(tmp_path.glob("*/"))


def test_without_a_cache_nothing_stays(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    found = features.extract(some_images(), TinyInception(), "mixed_7", None, lambda n: None)
    assert found.features.sum() > 0 and not list(tmp_path.iterdir())


def damage(path, draw):
    """Damage a file, or put something else in its place; what was done, in words."""
    content = path.read_bytes()
    kind = draw.choice(["{}", "[]", "7", "bytes", "cut", "flip", "gone", "folder", "array", "nan"])
    if kind in ("{}", "[]", "7"):
        path.write_text(kind)
    elif kind == "bytes":
        path.write_bytes(draw.randbytes(len(content)))
    elif kind == "cut":
        path.write_bytes(content[: draw.randrange(len(content))])
    elif kind == "flip":
        flipped = bytearray(content)
        flipped[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
        path.write_bytes(flipped)
    elif kind in ("gone", "folder"):
        path.unlink()
        if kind == "folder":
            path.mkdir()
    else:
        value = np.nan if kind == "nan" else 1
        with path.open("wb") as file:
            np.save(file, np.full((12, 48), value, draw.choice([np.float32, np.float64, object])))
    return f"{path.name} {kind}"


@pytest.mark.parametrize("seed", range(20))
def test_a_damaged_entry_is_computed_again(tmp_path, caplog, seed):
    draw = random.Random(seed)
    pixels = np.random.default_rng(0).integers(0, 256, (12, 8, 8, 3), np.uint8)
    images = features.Images("random", 12, {"seed": 0}, lambda: [pixels])
    network = TinyInception(("mixed_7", "logits"))

    def extract():
        return features.extract(images, network, "mixed_7", tmp_path, lambda count: None)

    first = extract()
    wanted = first.features.copy(), first.logits.copy(), first.statistics.covariance
    del first
    entry = next(tmp_path.glob("*/entry.json")).parent
    whole = {name: (entry / name).read_bytes() for name in FILES}
    done = damage(entry / draw.choice(FILES), draw)
    again = extract()
    found = again.features, again.logits, again.statistics.covariance
    for value, other in zip(wanted, found, strict=True):
        assert np.array_equal(value, other), done
    # Bytes of entry.json that say nothing may differ; all others are looked at.
    if "entry.json flip" not in done:
        assert network.images == 24 and "computed again" in caplog.text, done
    assert {name: (entry / name).read_bytes() for name in FILES} == whole or "entry" in done
    assert not list(tmp_path.glob(".making*"))


def test_a_full_disk_leaves_nothing_and_is_one_error(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (500, 8, 8, 3), np.uint8)
    images = features.Images("random", 500, {"seed": 0}, lambda: np.array_split(pixels, 10))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, before[1]))  # bytes; 96,000 are needed
    try:
        with pytest.raises(OSError, match=f"File too large: '{tmp_path}"):
            features.extract(images, TinyInception(), "mixed_7", tmp_path, lambda count: None)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert [path.suffix for path in tmp_path.iterdir()] == [".lock"]
    found = features.extract(images, TinyInception(), "mixed_7", tmp_path, lambda count: None)
    assert found.count == 500
