"""generate.py: named images, refused mistakes, and latents that mean what the docs say."""

import errno
import hashlib
import os
import re
import shlex

import keras
import numpy as np
import pytest
from helpers import REPO, refused
from PIL import Image, ImageSequence
from tiny_gan import tiny

import dcgan_tf
import generate
from dcgan_tf.common.images import enlarge, grid, save_png
from dcgan_tf.common.labels import Labels
from dcgan_tf.common.pretrained import pretrained
from dcgan_tf.generate import generation
from dcgan_tf.generate.command import parse_generation
from dcgan_tf.models.loading import load_generator
from dcgan_tf.models.networks import build_discriminator, build_generator
from dcgan_tf.models.sampling import Sampler, seed_latents, slerp, weights_sha256
from dcgan_tf.train.command import parse_training


@pytest.fixture(scope="module")
def model_file(tmp_path_factory):
    """An untrained small generator with large weights, so that images differ by far."""
    config = tiny(init_stddev=0.3)
    folder = tmp_path_factory.mktemp("runs") / "0001-celeba"
    folder.mkdir()
    build_generator(config).save(folder / "generator.keras")
    build_discriminator(config).save(folder / "discriminator.keras")
    return folder / "generator.keras"


@pytest.fixture
def run_main(model_file):
    """Runs the command, with the model of `model_file` unless it names another."""

    def call(*argv, model=model_file):
        generate.main([str(arg) for arg in (*(("--model", model) if model else ()), *argv)])

    return call


def pixels_and_text(path):
    with Image.open(path) as image:
        return np.asarray(image), image.info


def pixels(path):
    return pixels_and_text(path)[0]


def test_seeds_name_images_whatever_comes_with_them(run_main, tmp_path):
    run_main("--n", "40", "--out", tmp_path / "a")
    run_main("--seeds", "39,5-7,4294967295", "--out", tmp_path / "b")
    names = sorted(path.name for path in (tmp_path / "a/images").iterdir())
    assert names == [f"seed_{seed:06d}.png" for seed in range(40)]
    assert len(list((tmp_path / "b/images").iterdir())) == 5
    for seed in (39, 5, 6, 7):
        same = [pixels(tmp_path / x / f"images/seed_{seed:06d}.png") for x in "ab"]
        assert np.array_equal(*same)
    different = {pixels(tmp_path / f"a/images/{name}").tobytes() for name in names}
    assert len(different) == 40


def test_png_is_the_generators_answer_to_the_documented_latent_and_says_so(
    run_main, model_file, tmp_path
):
    run_main("--seeds", "3", "--truncation", "0.5", "--out", tmp_path)
    image, info = pixels_and_text(tmp_path / "images/seed_000003.png")
    generator = keras.saving.load_model(model_file, compile=False)
    weights = b"".join(np.asarray(w, "float32").tobytes() for w in generator.get_weights())
    assert info["model_sha256"] == hashlib.sha256(weights).hexdigest() == weights_sha256(generator)
    assert info["seed"] == "3" and info["truncation"] == "0.5"
    latent = 0.5 * np.random.RandomState(3).randn(128).astype("float32")
    expected = np.asarray(generator(latent[None], training=False))[0] * 255
    assert np.abs(image - expected).max() <= 0.51
    enlarged = pixels(tmp_path / "grid.png")
    assert enlarged.shape == (512, 512, 3) and np.array_equal(enlarged[::8, 7::8], image)


def test_fill_and_latents_files(run_main, tmp_path):
    np.save(tmp_path / "z.npy", np.full((2, 128), 0.5))
    run_main("--latents", tmp_path / "z.npy", "--out", tmp_path / "z")
    fill = "0,0.5,1,0.1234567,0.1234568,1e-7,100000000"
    run_main("--fill", fill, "--out", tmp_path / "f")
    names = {path.stem for path in (tmp_path / "f/images").iterdir()}
    assert names == {f"fill_{x}" for x in fill.replace("1e-7", "1e-07").split(",")}
    run_main("--fill", "-1,1", "--out", tmp_path / "m")  # which argparse takes for a flag
    assert (tmp_path / "m/images/fill_-1.png").is_file()
    for words in (["--force", "-1"], ["--", "-1"]):  # a run of that name
        with refused("-1: no such run"):
            parse_generation(words)
    with refused("--latents nowhere.npy: no such file"):  # before a model is opened
        parse_generation(["--latents", "nowhere.npy"])
    half = pixels(tmp_path / "f/images/fill_0.5.png")
    assert np.array_equal(pixels(tmp_path / "z/images/latent_000001.png"), half)
    assert not np.array_equal(pixels(tmp_path / "f/images/fill_1.png"), half)
    np.save(tmp_path / "z.npy", np.zeros((2, 5)))
    with refused("expected (n, 128)"):
        run_main("--latents", tmp_path / "z.npy", "--out", tmp_path / "o")
    assert not (tmp_path / "o").exists()


@pytest.mark.slow
def test_interpolation_goes_through_the_named_seeds(run_main, tmp_path):
    run_main("--interpolate", "3,17,42", "--frames", "9", "--out", tmp_path)
    with Image.open(tmp_path / "interpolation.gif") as gif:
        assert (gif.n_frames, gif.size) == (24, (256, 256))  # and back to the first
        first, third, last = (
            np.asarray(frame.convert("RGB"), int)
            for number, frame in enumerate(ImageSequence.Iterator(gif))
            if number in (0, 16, 23)
        )
        assert np.abs(last - first).mean() < np.abs(last - third).mean() / 2
    strip, info = pixels_and_text(tmp_path / "strip.png")
    assert strip.shape == (64, 17 * 66 - 2, 3) and info["seeds"] == "3,17,42"
    way = ("--interpolate", "3,17,3", "--frames", "9", "--limit", "16")  # closed already
    run_main(*way, "--out", tmp_path / "closed")
    with Image.open(tmp_path / "closed/interpolation.gif") as gif:
        assert gif.n_frames == 16
    run_main("--seeds", "17", "--out", tmp_path / "one", "--scale", "1")
    assert np.array_equal(strip[:, 8 * 66 : 8 * 66 + 64], pixels(tmp_path / "one/grid.png"))


def test_latents_are_numpy_s_frozen_stream_and_slerp_keeps_their_length():
    for length in (1, 99, 128):
        seeds = [5, 2**32 - 1, 0, 5]
        expected = [np.random.RandomState(seed).randn(length).astype(np.float32) for seed in seeds]
        np.testing.assert_array_equal(seed_latents(iter(seeds), length), expected)
    a, b = (latent / np.linalg.norm(latent) for latent in seed_latents([1, 2], 128))
    for t in (0, 0.25, 0.5, 1):
        assert np.linalg.norm(slerp(a, b, t)) == pytest.approx(1)
        angle = np.arccos(min(np.dot(slerp(a, b, t), a), 1)) / np.arccos(np.dot(a, b))
        assert angle == pytest.approx(t, abs=1e-3)
    assert np.allclose(slerp(a, a, 0.3), a)


def test_newest_run_and_fresh_numbered_folders(run_main, model_file, monkeypatch, tmp_path):
    older = tmp_path / "runs/0009-older"
    older.mkdir(parents=True)
    (older / "generator.keras").write_text("not opened")
    newest = tmp_path / "runs/0002-newer"
    newest.mkdir()
    (newest / "generator.keras").write_bytes(model_file.read_bytes())
    os.utime(older / "generator.keras", (1, 1))
    monkeypatch.chdir(tmp_path)
    run_main("--n", "2", model=None)
    run_main("--n", "2", model=None)
    made = sorted(path.name for path in (newest / "generated").iterdir())
    assert made == ["0001", "0002"]
    (newest / "best").mkdir()
    (newest / "config.toml").write_text("")
    (newest / "best/generator.keras").write_bytes(model_file.read_bytes())
    run_main("--n", "1", model=newest / "best/generator.keras")
    assert (newest / "generated/0003/grid.png").exists()


def test_it_says_what_it_made_and_ends_with_the_enlarged_grid(
    run_main, model_file, tmp_path, caplog
):
    caplog.set_level("INFO", "dcgan_tf")
    run_main("--seeds", "5-7", "--out", tmp_path / "o")
    canvas, info = pixels_and_text(tmp_path / "o/grid.png")
    assert [record.getMessage() for record in caplog.records] == [
        f"generator {model_file}, weights {info['model_sha256'][:12]}",
        f"3 images in {tmp_path / 'o/images'}",
        "next, try --seeds 8-71 or --interpolate 5,8",
        f"grid of 3 images, enlarged 4 times: {tmp_path / 'o/grid.png'}",
    ]
    small = grid(np.stack([pixels(path) for path in sorted((tmp_path / "o/images").iterdir())]))
    assert small.shape == (130, 130, 3)
    np.testing.assert_array_equal(canvas, enlarge(small, 4))
    run_main("--n", "1", "--out", tmp_path / "x", "--scale", "3")
    assert pixels(tmp_path / "x/grid.png").shape == (192, 192, 3)


def test_a_full_disk_says_what_is_whole_and_leaves_no_empty_folder(
    run_main, tmp_path, monkeypatch, caplog
):
    written = iter(range(40))

    def save(path, image, *more, **named):
        if next(written, None) is None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        save_png(path, image, *more, **named)

    monkeypatch.setattr(generation, "save_png", save)
    with pytest.raises(OSError, match="No space left on device"):
        run_main("--n", "64", "--out", tmp_path / "o")
    whole = "40 of 64 images are complete, seed_000000.png to seed_000039.png in "
    assert whole in caplog.text
    assert len(list((tmp_path / "o").rglob("*.*"))) == 40
    monkeypatch.setattr(generation, "save_animation", generation.save_png)
    for what in (("--n", "4"), ("--interpolate", "1,2")):
        with pytest.raises(OSError, match="No space left"):
            run_main(*what, "--out", tmp_path / "empty")
        assert not (tmp_path / "empty").exists()


def test_a_long_interpolation_makes_only_what_is_shown(run_main, tmp_path, monkeypatch):
    made, array = [], Sampler.array
    monkeypatch.setattr(Sampler, "array", lambda self, z: made.append(len(z)) or array(self, z))
    run_main("--interpolate", "1,2", "--frames", "45000", "--out", tmp_path)
    with Image.open(tmp_path / "interpolation.gif") as gif:
        assert gif.n_frames == 60
    assert pixels(tmp_path / "strip.png").shape[1] == 9 * 66 - 2
    assert sum(made) <= 60 + 9


@pytest.mark.slow
@pytest.mark.parametrize("name", ["celeba", "mnist"])
@pytest.mark.parametrize("snippet", ["load_generator", "load_model"])
def test_the_documented_snippets_are_right_for_every_recipe(
    snippet, name, here, monkeypatch, run_main
):
    config = parse_training(["--config", name, "--width", "0.05", "--init-stddev", "0.3"]).config
    (here / "runs/demo").mkdir(parents=True)
    build_generator(config).save(here / "runs/demo/generator.keras")
    text = (REPO / "docs" / "generating.md").read_text(encoding="utf-8")
    found = [code for code in re.findall(r"```python\n(.*?)```", text, re.S) if snippet in code]
    monkeypatch.setattr(dcgan_tf, "load_generator", load_generator, raising=False)
    exec(found[0], {})
    run_main("--run", "runs/demo", "--seeds", "7", "--out", "o", model=None)
    expected, read = pixels("o/images/seed_000007.png"), pixels("seed7.png")
    assert expected.shape == read.shape and expected.std() > 5
    assert np.abs(expected.astype(int) - read.astype(int)).max() <= 1


def test_files_in_the_way_are_refused_without_force(run_main, model_file, tmp_path):
    request = parse_generation(["--model", str(model_file), "--n", "2", "--out", str(tmp_path)])
    (tmp_path / "note.txt").write_text("mine")
    with refused("has files already", "--force"):  # written meanwhile
        generation.generate(request)
    with refused("has files already", "--force"):
        run_main("--n", "2", "--out", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["note.txt"]
    run_main("--n", "2", "--out", tmp_path, "--force")
    assert (tmp_path / "note.txt").read_text() == "mine" and (tmp_path / "grid.png").exists()


def test_files_that_are_no_generator(run_main, model_file, tmp_path):
    (tmp_path / "text.keras").write_text("hello")
    with refused("expected a .keras file, got a text file"):
        run_main(model=tmp_path / "text.keras")
    with refused("expected a generator"):
        run_main("--out", tmp_path / "o", model=model_file.with_name("discriminator.keras"))


class Classes:
    """Stands for a sampler with classes: 1x1 images, whose gray is the class's number times 50."""

    sha256, picture_shape = "0" * 64, (1, 1, 3)

    def __init__(self, *names):
        self.labels = Labels.of(names, True, np.eye(len(names), dtype=np.uint8))
        self.latent_dim = len(names)

    def factor(self, truncation):
        return truncation

    def latents(self, seeds, label):
        return self.labels.tails(seeds, label)

    def array(self, latents):
        gray = (latents.argmax(axis=1) * 50).astype(np.uint8)
        return np.tile(gray[:, None, None, None], (1, 1, 1, 3))


def test_advice_for_a_class_can_be_typed_and_constants_keep_their_labels(
    run_main, tmp_path, monkeypatch, caplog
):
    caplog.set_level("INFO")
    sampler = Classes("golden retriever", "poodle")
    monkeypatch.setattr(generation, "load_generator", lambda *_: sampler)
    run_main("--n", "2", "--out", tmp_path / "a")
    advice = next(line for line in caplog.messages if "for one class: " in line)
    typed = shlex.split(advice.partition("for one class: ")[2])
    assert parse_generation(["faces", *typed]).label == "golden retriever"
    request = parse_generation(["faces", "--fill", "1", "--truncation", "0.5"])
    labeled = Sampler(build_generator(tiny(), labels=Labels(("x",), False, (0,))))
    (row,) = generation.prepare_latents(request, labeled).rows(0, 1)
    assert row[-1] == 1 and set(row[:-1]) == {0.5}


def test_a_folder_of_images_does_not_hide_the_bundled_generator(here):
    (here / "faces").mkdir()
    assert parse_generation(["faces"]).model == pretrained("faces", "").generator
    (here / "faces/generator.keras").touch()
    assert parse_generation(["faces"]).model.resolve() == here.resolve() / "faces/generator.keras"


def test_long_names_of_classes_become_numbers_in_file_names(run_main, tmp_path, monkeypatch):
    sampler = Classes("\u732b" * 80, "dog")  # 240 bytes
    monkeypatch.setattr(generation, "load_generator", lambda *_: sampler)
    run_main("--seeds", "3", "--out", tmp_path)
    names = sorted(path.name for path in (tmp_path / "images").iterdir())
    assert names == ["0_seed_000003.png", "1_seed_000003.png"]


@pytest.mark.parametrize(
    ("most", "width", "rows", "words"),
    [
        (7, 2, "cat,dog,eel", "grid of the first 2 images of each class"),
        (2, 1, "cat,dog", "grid of the first 1 image of each of the first 2 classes"),
        (1024, 70, "cat,dog,eel", "grid of 210 images"),
    ],
)
def test_a_large_grid_shows_each_class(
    most, width, rows, words, run_main, tmp_path, monkeypatch, caplog
):
    monkeypatch.setattr(generation, "load_generator", lambda *_: Classes("cat", "dog", "eel"))
    monkeypatch.setattr(generation, "GRID_IMAGES", most)
    with caplog.at_level("INFO"):
        run_main("--seeds", "0-69", "--scale", "1", "--out", tmp_path)  # more than a chunk
    assert len(list((tmp_path / "images").iterdir())) == 210 and words in caplog.text
    image, info = pixels_and_text(tmp_path / "grid.png")
    shown = np.array([[[50 * k] * 3] * width for k in range(len(rows.split(",")))], np.uint8)
    assert info["rows"] == rows
    expected = grid(shown.reshape(-1, 1, 1, 3), width)
    assert np.array_equal(image, expected)
