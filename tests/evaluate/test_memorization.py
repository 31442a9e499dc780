"""The memorization check finds planted copies, and nothing else."""

import json

import numpy as np
import pytest
from evaluating import examine
from helpers import face_jpeg, refused, write_zip
from PIL import Image
from tiny_inception import TinyInception

from dcgan_tf.common.runs import Run
from dcgan_tf.evaluate import archive, memorization
from dcgan_tf.evaluate.command import parse_evaluation
from dcgan_tf.evaluate.memorization import Blurred, Neighbors, find_neighbors, verdict
from dcgan_tf.metrics import features


def smooth_images(seed, count):
    """Random images with structure: what is left of noise when it is enlarged."""
    small = np.random.default_rng(seed).integers(0, 256, (count, 4, 4, 3), np.uint8)
    return small.repeat(4, axis=1).repeat(4, axis=2)


TRAINING, HELD_OUT = smooth_images(0, 120), smooth_images(1, 100)


def spaces_of(samples):
    def vectors(images):
        return next(TinyInception().features([images], ["mixed_7"]))["mixed_7"]

    return [
        find_neighbors(*(space(part) for part in (samples, HELD_OUT, TRAINING)))
        for space in (Blurred, vectors)
    ]


def test_blur_is_the_direct_one_and_keeps_flat_images():
    image = np.random.default_rng(0).integers(0, 256, (1, 6, 7, 1), np.uint8)
    kernel = np.outer([1, 4, 6, 4, 1], [1, 4, 6, 4, 1]) / 256
    found = Blurred(image)[:1].reshape(6, 7) * np.sqrt(42)
    window = image[0, 1:6, 1:6, 0]  # around the pixel (3, 3)
    assert found[3, 3] == pytest.approx((kernel * window).sum(), rel=1e-5)
    flat = Blurred(np.full((2, 5, 5, 3), 77, np.uint8))
    assert len(flat) == 2 and np.allclose(flat[np.array([1])] * np.sqrt(75), 77)


def test_planted_copies_are_found_and_each_copy_its_original():
    noise = np.random.default_rng(2).integers(-6, 7, TRAINING[:30].shape)
    copies = np.clip(TRAINING[:30] + noise, 0, 255).astype(np.uint8)
    spaces = spaces_of(np.concatenate([copies, smooth_images(3, 70)]))
    found = verdict(*spaces)
    assert found["verdict"] == "copies" and found["copies"] == pytest.approx(0.3, abs=0.03)
    for space in spaces:
        assert space.nearest[:30].tolist() == list(range(30))


def test_fresh_images_and_those_near_in_pixels_alone_are_no_copies():
    pixels, vectors = spaces_of(smooth_images(3, 100))
    found = verdict(pixels, vectors)
    assert found["verdict"] == "no sign of copying" and found["copies"] <= found["allowed"]
    assert found["pixels"]["ratio_of_medians"] == pytest.approx(1, abs=0.1)
    near, far = (
        Neighbors(np.full(50, distance), pixels.held_out, pixels.nearest) for distance in (0.1, 1e6)
    )
    assert verdict(near, far)["copies"] == 0 and verdict(near, near)["copies"] == 1
    # Held-out images that were trained on give no ratio.
    space = Neighbors(np.full(20, 3.0), np.zeros(20), np.zeros(20, int))
    record = verdict(space, space)
    assert record["pixels"]["ratio_of_medians"] is None
    shown = {"samples": 20, "epoch": None, "layer": "mixed_7", "training": "a", "held_out": "b"}
    said = memorization.in_words(record | shown, Run("r"))
    assert said.startswith("20 generated images of r\n") and "(ratio none)" in said


def test_command_gives_a_verdict_and_an_image_of_pairs(there, tiny, capsys):
    record = examine(capsys)
    assert record["samples"] == 24 and "not trained on" in record["held_out"]
    assert record["verdict"] == "no sign of copying"  # noise of an untrained generator
    assert json.loads((there / "runs/a/memorisation.json").read_text()) == record
    with Image.open(there / "runs/a/memorisation.png") as image:
        assert image.size == (2 * (4 * (128 + 6) - 6), 2 * (4 * (64 + 6) - 6))
    write_zip(there / "other.zip", {f"{i:03}.jpg": face_jpeg(100 + i) for i in range(12)})
    other = examine(capsys, "--data", "other.zip")
    assert "12 of the images of" in other["held_out"] and other["training"] == record["training"]


def test_command_convicts_a_generator_that_hands_out_its_training_images(
    there, tiny, capsys, monkeypatch, caplog
):
    caplog.set_level("INFO")
    request = parse_evaluation(["--run", "runs/a"])
    own, _ = archive.open_archive(request.run, request)
    pixels = np.asarray(own.pack.pixels)
    made_by = {"generator_sha256": "thief", "crop": "none"}
    stolen = features.Images("stolen", 24, made_by, lambda: iter([pixels]))
    monkeypatch.setattr(memorization, "generated", lambda generator, count, seed: stolen)
    record = examine(capsys)
    assert record["verdict"] == "copies" and record["copies"] == 1
    assert record["pixels"]["median_distance"] == 0
    with Image.open(there / "runs/a/memorisation.png") as image:
        pair = np.asarray(image)[:128, :256]
    assert np.array_equal(pair[:, :128], pair[:, 128:])
    assert memorization.in_words(record, Run("runs/a")).count("100.0%") >= 2
    # Held-out images among which the training images are, too.
    record = examine(capsys, "--data", "faces.zip", "--against", "data")
    assert record["verdict"] == "copies" and record["held_out"].startswith("24 of")
    assert "faces.zip: 24 training images left out" in caplog.text
    (there / "faces.zip").unlink()
    (there / "runs/a/versions.json").write_text("{}")
    with refused("--data faces.zip: no such file"):
        examine(capsys)
