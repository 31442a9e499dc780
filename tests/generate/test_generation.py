"""generate.py: named pictures, refused mistakes, and latents that mean what the docs say."""

import errno
import hashlib
import os
import re

import keras
import numpy as np
import pytest
from helpers import REPO, refused
from PIL import Image
from tiny_gan import tiny

import dcgan_tf
import generate
from dcgan_tf.common import atomic_write
from dcgan_tf.common.errors import UserError
from dcgan_tf.common.images import enlarge, grid, save_png
from dcgan_tf.generate import generation
from dcgan_tf.generate.command import parse_generation
from dcgan_tf.models.loading import load_generator
from dcgan_tf.models.networks import build_discriminator, build_generator
from dcgan_tf.models.sampling import Sampler, seed_latents, slerp, weights_sha256
from dcgan_tf.train.command import parse_training


@pytest.fixture(scope="module")
def model_file(tmp_path_factory):
    """An untrained small generator with large weights, so that pictures differ by far."""
    config = tiny(init_stddev=0.3)
    folder = tmp_path_factory.mktemp("runs") / "0001-celeba"
    folder.mkdir()
    build_generator(config).save(folder / "generator.keras")
    build_discriminator(config).save(folder / "discriminator.keras")
    return folder / "generator.keras"


def run_main(*argv):
    generate.main([str(arg) for arg in argv])


def picture(path):
    with Image.open(path) as image:
        return np.asarray(image), image.info


def test_seeds_name_pictures_whatever_comes_with_them(model_file, tmp_path):
    run_main("--model", model_file, "--n", "40", "--out", tmp_path / "a")
    run_main("--model", model_file, "--seeds", "39,5-7,4294967295", "--out", tmp_path / "b")
    names = sorted(path.name for path in (tmp_path / "a/images").iterdir())
    assert names == [f"seed_{seed:06d}.png" for seed in range(40)]
    assert len(list((tmp_path / "b/images").iterdir())) == 5
    for seed in (39, 5, 6, 7):
        pictures = [picture(tmp_path / x / f"images/seed_{seed:06d}.png")[0] for x in "ab"]
        assert np.array_equal(*pictures)
    different = {picture(tmp_path / f"a/images/{name}")[0].tobytes() for name in names}
    assert len(different) == 40


def test_png_is_the_generators_answer_to_the_documented_latent_and_says_so(model_file, tmp_path):
    run_main("--model", model_file, "--seeds", "3", "--truncation", "0.5", "--out", tmp_path)
    pixels, info = picture(tmp_path / "images/seed_000003.png")
    generator = keras.saving.load_model(model_file, compile=False)
    weights = b"".join(np.asarray(w, "float32").tobytes() for w in generator.get_weights())
    assert info["model_sha256"] == hashlib.sha256(weights).hexdigest() == weights_sha256(generator)
    assert info["seed"] == "3" and info["truncation"] == "0.5"
    latent = 0.5 * np.random.RandomState(3).randn(128).astype("float32")
    expected = np.asarray(generator(latent[None], training=False))[0] * 255
    assert np.abs(pixels - expected).max() <= 0.51
    enlarged = picture(tmp_path / "grid.png")[0]
    assert enlarged.shape == (512, 512, 3) and np.array_equal(enlarged[::8, 7::8], pixels)


def test_fill_and_latents_files(model_file, tmp_path):
    np.save(tmp_path / "z.npy", np.full((2, 128), 0.5))
    run_main("--model", model_file, "--latents", tmp_path / "z.npy", "--out", tmp_path / "z")
    fill = "0,0.5,1,0.1234567,0.1234568,1e-7,100000000"
    run_main("--model", model_file, "--fill", fill, "--out", tmp_path / "f")
    names = {path.stem for path in (tmp_path / "f/images").iterdir()}
    assert names == {f"fill_{x}" for x in fill.replace("1e-7", "1e-07").split(",")}
    half = picture(tmp_path / "f/images/fill_0.5.png")[0]
    assert np.array_equal(picture(tmp_path / "z/images/latent_000001.png")[0], half)
    assert not np.array_equal(picture(tmp_path / "f/images/fill_1.png")[0], half)


@pytest.mark.slow
def test_interpolation_goes_through_the_named_seeds(model_file, tmp_path):
    argv = ("--interpolate", "3,17,42", "--frames", "9", "--out", tmp_path)
    run_main("--model", model_file, *argv)
    with Image.open(tmp_path / "interpolation.gif") as gif:
        assert (gif.n_frames, gif.size) == (17, (256, 256))
    strip, info = picture(tmp_path / "strip.png")
    assert strip.shape == (64, 17 * 66 - 2, 3) and info["seeds"] == "3,17,42"
    run_main("--model", model_file, "--seeds", "17", "--out", tmp_path / "one", "--scale", "1")
    assert np.array_equal(strip[:, 8 * 66 : 8 * 66 + 64], picture(tmp_path / "one/grid.png")[0])


def test_slerp_keeps_length_and_ends_where_it_should():
    a, b = seed_latents([1, 2], 128)
    a, b = a / np.linalg.norm(a), b / np.linalg.norm(b)
    assert np.allclose(slerp(a, b, 0), a) and np.allclose(slerp(a, b, 1), b)
    for t in (0.25, 0.5):
        assert np.linalg.norm(slerp(a, b, t)) == pytest.approx(1)
        angle = np.arccos(np.dot(slerp(a, b, t), a)) / np.arccos(np.dot(a, b))
        assert angle == pytest.approx(t, abs=1e-5)
    assert np.allclose(slerp(a, a, 0.3), a)


@pytest.mark.parametrize("length", [1, 99, 128])
def test_the_latent_of_a_seed_is_numpy_s_frozen_stream_whatever_came_before(length):
    seeds = [5, 2**32 - 1, 0, 5]
    expected = [np.random.RandomState(seed).randn(length).astype(np.float32) for seed in seeds]
    np.testing.assert_array_equal(seed_latents(iter(seeds), length), expected)


@pytest.mark.slow
def test_many_samplers_that_draw_little_are_no_reason_for_a_warning(model_file, caplog):
    model = keras.saving.load_model(model_file, compile=False)
    for _ in range(8):
        Sampler(model).generate([0])
    assert not caplog.records


def test_newest_run_and_fresh_numbered_folders(model_file, monkeypatch, tmp_path):
    older = tmp_path / "runs/0009-older"
    older.mkdir(parents=True)
    (older / "generator.keras").write_text("not opened")
    newest = tmp_path / "runs/0002-newer"
    newest.mkdir()
    (newest / "generator.keras").write_bytes(model_file.read_bytes())
    os.utime(older / "generator.keras", (1, 1))
    monkeypatch.chdir(tmp_path)
    run_main("--n", "2")
    # As after a kill, seen by another process.
    (newest / "generated/0001/images/.writing-0123456789ab-seed_000002.png").write_bytes(b"half")
    monkeypatch.setattr(atomic_write, "_swept", set())
    run_main("--n", "2")
    made = sorted(path.name for path in (newest / "generated").iterdir())
    assert made == ["0001", "0002"]
    assert not list((newest / "generated").rglob(".writing*"))


def test_the_best_generator_of_a_run_writes_into_the_run(model_file, tmp_path):
    run = tmp_path / "runs" / "0001-x"
    (run / "best").mkdir(parents=True)
    (run / "config.toml").write_text("")
    (run / "best/generator.keras").write_bytes(model_file.read_bytes())
    run_main("--model", run / "best/generator.keras", "--n", "1")
    assert (run / "generated/0001/grid.png").exists()
    assert not (run / "best/generated").exists()


def test_it_says_what_it_made(model_file, tmp_path, caplog):
    caplog.set_level("INFO", "dcgan_tf")
    run_main("--model", model_file, "--seeds", "5-7", "--out", tmp_path / "o")
    sha256 = picture(tmp_path / "o/grid.png")[1]["model_sha256"]
    said = [record.getMessage() for record in caplog.records]
    assert said == [
        f"generator {model_file}, weights {sha256[:12]}",
        f"3 images in {tmp_path / 'o/images'}",
        "grid.png shows all, enlarged 4 times; "
        "next: look at it, then try --seeds 8-71 or --interpolate 5,8",
        f"wrote {tmp_path / 'o'}",
    ]


@pytest.mark.parametrize(
    ("scale", "factor"), [((), 4), (("--scale", "1"), 1), (("--scale", "3"), 3)]
)
def test_the_grid_alone_is_enlarged(scale, factor, model_file, tmp_path):
    run_main("--model", model_file, "--n", "3", "--out", tmp_path, *scale)
    small = grid(np.stack([picture(p)[0] for p in sorted((tmp_path / "images").iterdir())]))
    assert small.shape == (130, 130, 3)
    np.testing.assert_array_equal(picture(tmp_path / "grid.png")[0], enlarge(small, factor))


def test_a_folder_in_the_way_of_the_grid_is_refused_before_a_picture_is_written(
    model_file, tmp_path
):
    (tmp_path / "grid.png").mkdir()
    with refused("grid.png is a folder"):
        run_main("--model", model_file, "--n", "2", "--out", tmp_path, "--force")
    assert [path.name for path in tmp_path.iterdir()] == ["grid.png"]


def full_disk(monkeypatch, after):
    """The next `after` pictures are written, then the disk is full."""
    written = iter(range(after))

    def save(path, image, text=None, sync=True):
        if next(written, None) is None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        save_png(path, image, text, sync)

    monkeypatch.setattr(generation, "save_png", save)


def test_a_full_disk_says_what_is_whole(model_file, tmp_path, monkeypatch, caplog):
    full_disk(monkeypatch, after=40)
    with pytest.raises(OSError, match="No space left on device"):
        run_main("--model", model_file, "--n", "64", "--out", tmp_path / "o")
    whole = "40 of 64 images are whole, seed_000000.png to seed_000039.png in "
    assert whole in caplog.text
    assert len(list((tmp_path / "o").rglob("*.*"))) == 40


@pytest.mark.parametrize("what", [("--n", "4"), ("--interpolate", "1,2")])
def test_a_disk_that_was_full_before_leaves_no_folder(what, model_file, tmp_path, monkeypatch):
    full_disk(monkeypatch, after=0)
    monkeypatch.setattr(generation, "save_gif", generation.save_png)
    with pytest.raises((UserError, OSError), match="No space left"):
        run_main("--model", model_file, *what, "--out", tmp_path / "o")
    assert not (tmp_path / "o").exists()


def test_a_long_interpolation_makes_only_what_is_shown(model_file, tmp_path, monkeypatch):
    made = []
    array = Sampler.array
    monkeypatch.setattr(
        Sampler, "array", lambda self, latents: made.append(len(latents)) or array(self, latents)
    )
    argv = ("--interpolate", "1,2", "--frames", "90000", "--out", tmp_path)
    run_main("--model", model_file, *argv)
    with Image.open(tmp_path / "interpolation.gif") as gif:
        assert gif.n_frames == 60
    assert picture(tmp_path / "strip.png")[0].shape[1] == 9 * 66 - 2
    assert sum(made) <= 60 + 9


@pytest.mark.slow
@pytest.mark.parametrize("name", ["celeba", "radford", "mnist"])
@pytest.mark.parametrize("snippet", ["load_generator", "load_model"])
def test_the_documented_snippets_are_right_for_every_recipe(snippet, name, here, monkeypatch):
    config = parse_training(["--config", name, "--width", "0.05", "--init-stddev", "0.3"]).config
    (here / "runs/demo").mkdir(parents=True)
    build_generator(config).save(here / "runs/demo/generator.keras")
    text = (REPO / "docs" / "generating.md").read_text(encoding="utf-8")
    found = [code for code in re.findall(r"```python\n(.*?)```", text, re.S) if snippet in code]
    monkeypatch.setattr(dcgan_tf, "load_generator", load_generator, raising=False)
    exec(found[0], {})
    run_main("--run", "runs/demo", "--seeds", "7", "--out", "o")
    expected, read = picture("o/images/seed_000007.png")[0], picture("seed7.png")[0]
    assert expected.shape == read.shape and expected.std() > 5
    assert np.abs(expected.astype(int) - read.astype(int)).max() <= 1


def test_files_that_another_call_wrote_meanwhile_are_not_mixed_with_these(model_file, tmp_path):
    request = parse_generation(["--model", str(model_file), "--n", "2", "--out", str(tmp_path)])
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "seed_000100.png").touch()
    with refused("has files already", "--force"):
        generation.generate(request)
    assert [path.name for path in (tmp_path / "images").iterdir()] == ["seed_000100.png"]


def test_files_in_the_way_are_refused_without_force(model_file, tmp_path):
    (tmp_path / "note.txt").write_text("mine")
    with refused("--force"):
        run_main("--model", model_file, "--n", "2", "--out", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["note.txt"]
    run_main("--model", model_file, "--n", "2", "--out", tmp_path, "--force")
    assert (tmp_path / "note.txt").read_text() == "mine" and (tmp_path / "grid.png").exists()


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--n", "0"], "--n: got '0', expected a whole number, 1 or more"),
        (["--n", "many"], "--n: got 'many'"),
        (["--seeds", "5-2"], "--seeds: got '5-2'"),
        (["--seeds", "1,x"], "--seeds"),
        (["--seeds", ""], "--seeds"),
        (["--seeds", "1", "--n", "2"], "not allowed with"),
        (["--truncation", "-1"], "--truncation"),
        (["--fill", "a"], "--fill"),
        (["--interpolate", "4"], "two or more"),
        (["--sedes", "1"], "did you mean --seeds"),
        (["--run", "nowhere"], "--run nowhere: no such run"),
        (["--model", "nowhere.keras"], "no such file"),
        ([], "no run with a generator.keras"),
    ],
)
def test_bad_flags(argv, message, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    with refused(message):
        run_main(*argv)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (np.zeros((2, 5)), "expected (n, 128)"),
        (np.array([["a"] * 128]), "expected real numbers"),
        (None, "not a whole .npy file of numbers"),
    ],
)
def test_bad_latents(content, message, model_file, tmp_path):
    path = tmp_path / "z.npy"
    path.write_text("hello") if content is None else np.save(path, content)
    with refused(message):
        run_main("--model", model_file, "--latents", path, "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_files_that_are_no_generator(model_file, tmp_path):
    (tmp_path / "text.keras").write_text("hello")
    with refused("expected a .keras file, got a text file"):
        run_main("--model", tmp_path / "text.keras")
    with refused("expected a generator"):
        run_main("--model", model_file.with_name("discriminator.keras"), "--out", tmp_path / "o")
