"""Features of images and their cache on disk."""

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


def extract(images, cache, network=None, layer="mixed_7"):
    return features.extract(images, network or TinyInception(), layer, cache, lambda count: None)


def test_features_are_computed_once_and_are_those_of_the_images(tmp_path):
    network, images = TinyInception(("mixed_7", "pool_3", "logits")), some_images()
    first, again = (extract(images, tmp_path, network, "pool_3") for _ in range(2))
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
    layers, images = ("mixed_7", "pool_3"), some_images()
    for number, (given, name, layer) in enumerate(
        (
            *((images, "tiny", "mixed_7"), (images, "tiny", "pool_3")),
            *((images, "another", "mixed_7"), (some_images(1), "tiny", "mixed_7")),
            (some_images(0, 39), "tiny", "mixed_7"),
        ),
        start=1,
    ):
        extract(given, tmp_path, TinyInception(layers, name), layer)
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


def test_an_entry_that_was_broken_off_leaves_nothing_nor_does_one_without_a_cache(
    tmp_path, monkeypatch
):
    images = some_images()

    def broken():
        yield next(iter(images.read()))
        raise OSError("gone")

    torn = features.Images("torn", images.count, images.made_by, broken)
    with pytest.raises(OSError, match="gone"):
        extract(torn, tmp_path)
    assert not list(tmp_path.glob("*/"))
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    assert extract(images, None).features.sum() > 0
    assert not list((tmp_path / "temporary").iterdir())


def damage(path, kind):
    """Damage a file, or put something else in its place."""
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    if kind == "cut":
        path.write_bytes(content[:middle])
    elif kind == "flip":
        content[middle] ^= 1
        path.write_bytes(content)
    elif kind == "array":
        np.save(path.with_suffix(".npy"), np.full((12, 48), np.nan, np.float32))
        path.with_suffix(".npy").replace(path)
    else:
        path.unlink()
        if kind == "folder":
            path.mkdir()


@pytest.mark.parametrize("name", FILES)
def test_a_damaged_entry_is_computed_again(tmp_path, caplog, name):
    images = some_images(count=12)
    network = TinyInception(("mixed_7", "logits"))
    first = extract(images, tmp_path, network)
    wanted = first.features.copy(), first.logits.copy(), first.statistics.covariance
    entry = next(tmp_path.glob("*/entry.json")).parent
    whole = {each: (entry / each).read_bytes() for each in FILES}
    del first
    kinds = ("cut", "array", "gone", "folder") + (("flip",) if name != "entry.json" else ())
    for number, kind in enumerate(kinds, 2):
        damage(entry / name, kind)
        again = extract(images, tmp_path, network)
        found = again.features, again.logits, again.statistics.covariance
        assert all(map(np.array_equal, wanted, found)), kind
        del again, found
        assert network.images == 12 * number and "computed again" in caplog.text, kind
        assert {each: (entry / each).read_bytes() for each in FILES} == whole, kind
    assert not list(tmp_path.glob(".making*"))


def test_a_full_disk_leaves_nothing_and_is_one_error(tmp_path):
    images = some_images(count=500)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, before[1]))  # bytes; 96,000 are needed
    try:
        with pytest.raises(OSError, match=f"File too large: '{tmp_path}"):
            extract(images, tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert [path.suffix for path in tmp_path.iterdir()] == [".lock"]
    assert extract(images, tmp_path).count == 500
