"""A training with labels, from folders of classes to the images that are asked for."""

import json
import re
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
import stress
from helpers import (
    SMALL,
    assert_refused,
    face_jpeg,
    generate,
    refused,
    train,
    write_files,
    write_zip,
)
from PIL import Image
from programs import run_program
from workers import final, finish, start

from dcgan_tf.common.checkpoints import read_journal
from dcgan_tf.common.labels import Labels
from dcgan_tf.common.runs import Run
from dcgan_tf.evaluate.archive import open_archive
from dcgan_tf.evaluate.command import EvaluationRequest
from dcgan_tf.models.loading import load_generator

CLASSES = ("cat", "dog", "eel")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The flags, and a directory with the finished run runs/a."""
    cwd = tmp_path_factory.mktemp("whole")
    names = [f"{CLASSES[k % 3]}/{k}.jpg" for k in range(50)]
    write_files(cwd / "data", {name: face_jpeg(k) for k, name in enumerate(names)})
    flags = [
        *("--config", "celeba", "--dataset", "folder", "--data", cwd / "data", "--subset", "48"),
        *("--labels", "class", *SMALL, "--batch-size", "12", "--epochs", "2", "--fresh-fakes"),
        *("--average", "half_life", "--d-norm", "none", "--r1", "0.5", "--augment", "shift"),
        *("--sample-count", "6", "--no-tensorboard", "--run", "runs/a"),
    ]
    flags = list(map(str, flags))
    finish(start(cwd, *flags))
    return flags, cwd


def test_killed_and_resumed_it_ends_with_the_same_bits(whole, tmp_path):
    flags, cwd = whole
    stress.kill_twice_and_resume(tmp_path, flags)
    assert stress.results(tmp_path / "runs/a") == stress.results(cwd / "runs/a")


def test_two_devices_end_as_one_does(whole, tmp_path):
    flags, found = [*whole[0], "--precision", "float64"], []
    for name, more in (("one", ()), ("two", ("--strategy", "mirrored"))):
        (tmp_path / name).mkdir()
        count = 1 + bool(more)
        finish(start(tmp_path / name, *flags, *more, devices=count, optimizer="sgd"))
        found.append(final(tmp_path / name)[0])
    expected, other = found
    kernels = [v for n, v in expected.items() if n.startswith("discriminator/") and v.ndim == 2]
    assert kernels[-1].shape[1] == 1 + len(CLASSES)  # a logit, and one for each class
    assert max(np.abs(other[n].astype(float) - expected[n]).max() for n in expected) < 1e-10


def test_an_evaluation_takes_the_pack_of_the_run(whole, monkeypatch):
    monkeypatch.chdir(whole[1])
    before = sorted(Path("data/packs").iterdir())
    archive, against = open_archive(Run("runs/a"), EvaluationRequest(run=Run("runs/a")))
    assert (archive.pack.path in before, against) == (True, "subset")
    assert sorted(Path("data/packs").iterdir()) == before


def test_a_resume_with_other_labels_is_refused(whole, tmp_path):
    _, cwd = whole
    shutil.copytree(cwd, tmp_path, dirs_exist_ok=True)
    more = ("--epochs", "3", "--data", tmp_path / "data")
    (tmp_path / "data/cat").rename(tmp_path / "data/bat")  # the same images in the same order
    done = train("--run", "runs/a", *more, cwd=tmp_path)
    assert_refused(done, "--labels class", "other labels than this run was trained on")
    done = train("--run", "runs/a", "--epochs", "3", "--labels", "", cwd=tmp_path)
    assert_refused(done, "'class', you asked for ''")


def test_a_run_without_labels_resumes_beside_a_pack_that_has_them(whole, tmp_path):
    flags, cwd = whole
    shutil.copytree(cwd / "data", tmp_path / "data")  # with the packs of the run with labels
    flags = [*flags[: flags.index("--run")], "--labels", "", "--epochs", "1", "--run", "runs/b"]
    finish(start(tmp_path, *flags))
    for path in (tmp_path / "data/packs").glob("*/manifest.json"):
        if "labels" not in json.loads(path.read_text()):
            shutil.rmtree(path.parent)
    finish(start(tmp_path, "--run", "runs/b", "--epochs", "2"))
    assert read_journal(Run(tmp_path / "runs/b"))["step"] == 8


def test_images_are_those_that_are_asked_for(whole, tmp_path):
    run = whole[1] / "runs/a"
    sampler = load_generator(run)
    assert sampler.labels.names == CLASSES and sampler.labels.classes
    latents = sampler.latents(range(3), "dog")
    assert latents[:, -3:].tolist() == [[0, 1, 0]] * 3
    dogs = sampler.generate(seeds=range(3), label="dog")
    assert (dogs == sampler.generate(latents=latents)).all()
    assert (dogs != sampler.generate(seeds=range(3), label="eel")).any()

    done = generate("--run", run, "--n", 6, "--out", tmp_path / "all", cwd=tmp_path)
    assert done.returncode == 0 and "for one class: --label cat" in done.stdout
    files = sorted((tmp_path / "all/images").iterdir())
    assert [path.stem for path in files] == [f"{n}_seed_00000{k}" for n in CLASSES for k in (0, 1)]
    with Image.open(files[3]) as image, Image.open(tmp_path / "all/grid.png") as grid:
        assert image.text["label"] == "dog" and image.text["seed"] == "1"
        assert (np.asarray(image) == dogs[1]).all()
        assert grid.text["rows"] == "cat,dog,eel" and grid.width < grid.height

    done = generate("--run", run, "--seeds", 1, "--label", "dog", "--out", "one", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    with Image.open(tmp_path / "one/images/seed_000001.png") as image:
        assert image.text["label"] == "dog" and (np.asarray(image) == dogs[1]).all()
    done = generate("--run", run, "--label", "dgo", cwd=tmp_path)
    assert_refused(done, "--label", "no class 'dgo'; there are cat, dog, eel")
    way = ("--interpolate", "0,1", "--frames", 3, "--out", "way")
    done = generate("--run", run, *way, "--label", "dog", "--truncation", 1, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    with Image.open(tmp_path / "way/strip.png") as strip:
        assert strip.text["label"] == "dog"


def test_labels_go_with_the_generator(whole, tmp_path):
    cwd = whole[1]
    labels = load_generator(cwd / "runs/a").labels
    with zipfile.ZipFile(cwd / "runs/a/generator.keras") as archive:
        assert Labels(**json.loads(archive.read("labels.json"))) == labels
    with zipfile.ZipFile(cwd / "runs/a/generator.keras") as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    for wrong in ({"names": ["a", "a"]}, {"drawn": [3]}, {"names": list("abcdefghij" * 30)}):
        about = json.loads(entries["labels.json"]) | wrong
        write_zip(tmp_path / "it.keras", entries | {"labels.json": json.dumps(about)})
        with refused("it.keras", "not the labels of a generator"):
            load_generator(tmp_path / "it.keras")


def test_every_command_takes_a_labeled_run(whole, tmp_path):
    shutil.copytree(whole[1] / "runs/a", tmp_path / "a")
    for command in (
        ("directions", "a", "--n", 1),
        ("export", "a", "--to", "keras,hub", "--out", "out"),
        ("report", "a"),
    ):
        done = run_program(("-m", f"dcgan_tf.{command[0]}", *command[1:]), tmp_path)
        assert done.returncode == 0, done.stderr
    with np.load(tmp_path / "a/directions.npz") as found:
        assert list(found["names"]) == ["kernel 1", "component 1"]
        assert (found["vectors"][:, -3:] == 0).all()
    for folder in ("out", "out/hub"):
        assert load_generator(tmp_path / folder / "generator.keras").labels.names == CLASSES
    card = (tmp_path / "out/hub/README.md").read_text()
    assert "one of the classes cat, dog, eel; " in card and "chosen: a row for each class." in card
    assert '"rows":"cat, dog, eel"' in (tmp_path / "a/report.html").read_text()
    done = run_program(("-m", "dcgan_tf.probe", "a", "--data", whole[1] / "data"), tmp_path)
    assert_refused(done, "50 images, expected 100 or more")
    done = train(*whole[0], "--dry-run", cwd=whole[1])
    assert done.returncode == 0 and "(None, 4)" in done.stdout, done.stderr


@pytest.mark.nightly
def test_the_benchmark_of_labels_takes_those_of_the_run_alone(whole):
    cwd, given = whole[1], ("tests/benchmarks/labels.py", "runs/a", "--data", "data", "--held-out")
    write_files(cwd / "others", {f"{name}/{k}.jpg": face_jpeg(k) for k, name in enumerate("ab")})
    done = run_program((*given, "data"), cwd)
    rows = re.findall(r"^(\w+) +real +[\d.]+%  generated +[\d.]+%$", done.stdout, re.MULTILINE)
    assert tuple(rows) == CLASSES, done.stderr
    done = run_program((*given, "others"), cwd)
    assert done.returncode == 1 and "others has the labels a, b; the run has cat" in done.stderr
