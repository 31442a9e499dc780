"""The images of a training: found where they were meant, counted, refused before TensorFlow."""

import json
import os
import shutil
from dataclasses import replace

import numpy as np
import pytest
from helpers import REPO, assert_refused, face_jpeg, refused, resolved, write_files
from programs import run_program

from dcgan_tf.common import checkpoints
from dcgan_tf.common.config import bound_fields
from dcgan_tf.common.config_file import read_config, to_toml
from dcgan_tf.common.images import GAP, default_scale, read_grid
from dcgan_tf.common.runs import Run
from dcgan_tf.common.suggestions import typed
from dcgan_tf.data.pack import open_pack
from dcgan_tf.train import command, images, run_lock, training

IMAGE = {f"{number}.jpg": face_jpeg(number) for number in range(12)}
FOLDER = ("--dataset", "folder")


def find(*argv):
    """The settings, the source and whether the training is new, as `train.py ARGV` has them."""
    request = command.parse_training(list(map(str, argv)))
    command.check_request(request)
    return images.find_images(request).images


def begin(root, *argv, checkpoint=True, journaled=None):
    """Run: as a training of `train.py ARGV`, started here, leaves it with its pack."""
    request = command.parse_training([*map(str, argv), "--run", str(root)])
    with run_lock.claim(request) as run:
        if checkpoint:
            pack = open_pack(*images.open_images(request)[:2])
            bound = bound_fields(request.config)
            steps = images.plan_epoch(request.config, len(pack.pixels))
            more = {"settings": bound | (journaled or {}), "images": len(pack.pixels)}
            journal = checkpoints.Journal(steps, pack.manifest["pixels_sha256"], steps, **more)
            checkpoints.write(run.checkpoints, {"a": np.arange(3)}, journal, keep=3)
        else:
            run.losses.touch()  # so that it stays
    return run


@pytest.fixture
def project(here, monkeypatch):
    """A folder with twelve images in `three` and a run on them, started there."""
    monkeypatch.chdir(write_files(here / "project", {f"three/{n}": c for n, c in IMAGE.items()}))
    return begin("runs/a", *FOLDER, "--data", "three", "--batch-size", 4)


# Found where it was meant


def test_a_typed_place_is_taken_or_nothing(project, here, monkeypatch):
    with refused("--data nowhere: no such file or folder"):  # though the run has its pack
        find("--run", "runs/a", "--data", "nowhere")
    shutil.move("three", "away")
    assert len(find("--run", "runs/a", "--data", "three")[1].names) == 12  # which is of this place
    write_files(here / "project/runs/three", {"config.toml": b"", **IMAGE})
    shutil.rmtree("data/packs")
    monkeypatch.chdir("runs/a")
    with refused("--data three: no such file or folder"):  # of a new run, started from here
        find(*FOLDER, "--data", "three", "--run", "../new")
    monkeypatch.chdir(here)
    with refused("--data ", "three: no such file or folder"):  # of a run that resumes
        find("--run", "project/runs/a", "--data", "three")


@pytest.mark.parametrize("packs", [True, False])
def test_a_run_goes_on_from_elsewhere_and_says_where_its_images_are(
    packs, project, here, monkeypatch, caplog
):
    caplog.set_level("INFO")
    write_files(here / "other/three", {"b.jpg": face_jpeg(50)})  # images of the same name
    if not packs:
        shutil.rmtree("data/packs")
    monkeypatch.chdir(here / "other")
    config, source, new = find("--run", here / "project/runs/a")
    assert config.data == str(here / "project/three") and len(source.names) == 12 and not new
    assert f"data three: found as {here / 'project/three'}" in caplog.messages
    config = command.parse_training(
        ["--run", str(here / "project/runs/a"), "--data", "copy"]
    ).config
    assert config.data == str(here / "other/copy") and config.packs == "data/packs"


def test_a_finished_run_needs_no_images(project):
    shutil.rmtree("data/packs")
    shutil.rmtree("three")
    with refused("--data three: no such file or folder"):
        find("--run", "runs/a", "--epochs", 2)
    assert find("--run", "runs/a", "--epochs", 1) is None


def test_a_moved_or_copied_project_finds_what_went_with_it(project, here, monkeypatch, caplog):
    shutil.copytree(here / "project", here / "copy")
    shutil.rmtree("data/packs")
    shutil.move(here / "project", here / "moved")
    write_files(here / "moved/runs/three", {"config.toml": b"", **IMAGE})
    (here / "moved/runs/three/checkpoints").mkdir()
    monkeypatch.chdir(here)
    config, source, _ = find("--run", "moved/runs/a")
    assert config.data == str(here / "moved/three") and len(source.names) == 12
    config = find("--run", "copy/runs/a")[0]
    assert config.data == str(here / "copy/three") and config.packs == str(here / "copy/data/packs")
    shutil.rmtree(here / "moved/three")  # now there is one inside of a run alone, which is no place
    with refused("--data three: no such file or folder"):
        find("--run", "moved/runs/a")
    caplog.clear()
    monkeypatch.chdir(here / "copy")
    config = find("--run", "runs/a")[0]
    assert (config.data, config.packs) == ("three", "data/packs") and not caplog.messages


def test_before_a_checkpoint_only_the_place_of_the_start_is_tried(here, monkeypatch):
    write_files(here / "three", IMAGE)
    for place in (here, here / "other"):
        write_files(place / "old", {"generator.keras": b"", "discriminator.keras": b""})
    init = ["--init-from", "old/generator.keras,old/discriminator.keras"]
    few = [*FOLDER, "--data", "three", "--batch-size", 4]
    begin("runs/a", *few, *init, checkpoint=False)
    monkeypatch.chdir(here / "other")
    config = find("--run", here / "runs/a")[0]
    assert config.init_from == f"{here}/old/generator.keras,{here}/old/discriminator.keras"
    (here / "runs/a/versions.json").write_text("{}")
    with refused("--data three: no such file or folder"):
        find("--run", here / "runs/a")
    # A checkpoint that was written here has the place as it is seen from here.
    monkeypatch.chdir(here)
    begin("runs/b", *few, *init, journaled={"init_from": config.init_from})
    again = command.parse_training(["--run", "runs/b"]).config
    assert again.init_from == init[1]
    run_lock.check_run(Run("runs/b"), again)


# Images of one's own


def prepared(*argv):
    """The request of `train.py ARGV`, as far as its images go."""
    request = images.recognize_images(command.parse_training(list(map(str, argv))))
    return images.find_images(request)


def test_data_alone_is_recognized_and_what_was_decided_is_what_a_run_keeps(here, caplog):
    caplog.set_level("INFO")
    write_files(here / "own", IMAGE)
    write_files(here / "aligned", {f"{i:06d}.jpg": c for i, c in enumerate(IMAGE.values())})
    request = prepared("--data", "own", "--batch-size", 4)
    config = request.config
    assert (config.dataset, config.crop, config.subset) == ("folder", "center", 0)
    assert request.config_name == "laptop" and config.base_size == 4
    assert "dataset folder: own has 12 image files" in caplog.text
    request = prepared("--data", "aligned", "--batch-size", 4, "--subset", 9)
    config = request.config
    assert (config.dataset, config.crop, config.subset) == ("celeba", "30,55,150,175", 9)
    assert request.config_name == "celeba" and config.g_channels == (128, 256, 512)
    request = prepared("aligned", "--batch-size", 4)  # without a flag
    assert (request.config_name, request.config.dataset) == ("laptop", "celeba")
    # Sizes that fit laptop but not celeba, which the images alone can tell apart.
    request = prepared("own", "--image-size", "128", "--base-size", "8", "--batch-size", 4)
    assert (request.config_name, request.config.g_sizes[-1]) == ("laptop", 128)
    with refused("--image-size: base_size 8 x 2^3 = 64, but image_size is 128"):
        prepared("--data", "aligned", "--image-size", "128", "--base-size", "8")
    with refused("--image-size: base_size 5 x 2^4 = 80, but image_size is 64"):
        prepared("own", "--base-size", "5")
    request = prepared("--config", "laptop", "--data", "own")
    assert (request.config_name, request.config.dataset) == ("laptop", "folder")
    for flags, dataset in (
        (["--config", "laptop", "--data", "own", "--dataset", "folder"], "folder"),
        (["--config", "laptop", "--data", "own", "--dataset", "celeba"], "celeba"),
        (["--epochs", "200", "--subset", "2000"], "celeba"),
        (["--data", "tfds"], "celeba"),
    ):
        assert command.parse_training(flags).config.dataset == dataset
    run = begin("runs/a", *FOLDER, "--data", "own", "--batch-size", 4)
    assert prepared("--run", run.root, "--data", "own").config.dataset == "folder"
    assert prepared("--data", "nowhere", "--dry-run").images is None


def test_help_says_whose_values_it_shows_and_what_own_images_take(capsys):
    with pytest.raises(SystemExit):
        command.parse_training(["--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert "Values in brackets are those of celeba" in text
    shows = f"which `{typed('recipes')} laptop` shows"
    assert f"a folder or zip alone is trained by laptop, {shows}" in text


def test_a_recipes_subset_means_at_most_and_a_typed_one_is_exact(here, caplog):
    caplog.set_level("INFO")
    write_files(here / "own", IMAGE)
    request = prepared("--config", "laptop", "--data", "own")
    assert request.config.subset == request.images[0].subset == 0
    assert "12 images, fewer than subset 2,000: all are used" in caplog.text
    assert prepared("--config", "laptop", "--data", "own", "--subset", 9).config.subset == 9
    with refused("--subset 2000: larger than the data"):
        prepared("--config", "laptop", "--data", "own", "--subset", 2000)


def test_a_command_resumes_its_run_where_a_recipes_subset_exceeds_the_images(here):
    write_files(here / "own", IMAGE)
    flags = ["--config", "laptop", "--data", "own", "--dataset", "folder", "--batch-size", "4"]
    for checkpoint in (False, True):
        begin("runs/a", *flags, "--subset", 0, checkpoint=checkpoint)  # as config.toml has it
        again = command.parse_training([*flags, "--run", "runs/a"])
        assert command.prepare(again).config.subset == 0
    for _ in range(2):  # also when the first has put its length into config.toml
        longer = command.parse_training([*flags, "--run", "runs/a", "--epochs", "200"])
        config = command.prepare(longer).config
        assert config.subset == 0
        run_lock.save_config(Run("runs/a"), config)
    flags += ["--run", "runs/a"]
    with refused("subset 0, you asked for 9"):
        command.prepare(command.parse_training([*flags, "--subset", "9"]))
    (here / "fewer.toml").write_text(
        (REPO / "configs/laptop.toml").read_text().replace("2000", "8")
    )
    with refused("subset 0, you asked for 8"):  # the run has more images than this
        command.prepare(command.parse_training(["--config", "fewer.toml", *flags[2:]]))


def test_reals_png_shows_images_chosen_by_the_seed_not_the_first(tmp_path):
    pixels = np.arange(200, dtype=np.uint8).reshape(-1, 1, 1, 1)

    def shown(seed):
        training.draw_reals(Run(tmp_path), pixels, seed)
        with read_grid(Run(tmp_path).reals) as grid:
            step = default_scale(8 * (1 + GAP) - GAP) * (1 + GAP)
            return np.asarray(grid)[::step, ::step].ravel().tolist()

    assert len({*shown(0)}) == 64 and shown(0) == shown(0) != shown(1)
    assert shown(0)[:8] != list(range(8))


# Before TensorFlow


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("train.py --data nowhere", "--data nowhere: no such file or folder"),
        ("train.py --epochs 1", "no CelebA found"),
        ("train.py --dataset folder --data few --dry-run", "--data few: 1 image, a training needs"),
        ("train.py --config demo --subset 30000", "--subset 30000: larger than the data"),
        ("-m dcgan_tf.evaluate twelve empty", "empty: no images"),
        ("-m dcgan_tf.evaluate --run run --data nowhere", "--data nowhere: no such file"),
        ("-m dcgan_tf.probe --run run --data nowhere", "--data nowhere: no such file"),
    ],
)
def test_images_are_refused_before_tensorflow_starts(command, words, here):
    write_files(here / "stub", {"tensorflow.py": b"raise SystemExit('TensorFlow was imported')"})
    write_files(here / "few", {"a.jpg": face_jpeg(1)})
    write_files(here / "twelve", IMAGE)
    (here / "empty").mkdir()
    names = ("generator.keras", "discriminator.keras")
    config = to_toml(resolved(*FOLDER, "--data", "twelve")).encode()
    write_files(here / "run", {"config.toml": config, **dict.fromkeys(names, b"")})
    path = os.pathsep.join([str(here / "stub"), str(REPO)])
    done = run_program(command.split(), here, {"PYTHONPATH": path, "HOME": str(here)})
    assert_refused(done, words)
    assert not (here / "runs").exists()


def test_too_few_images_are_refused(here, project):
    write_files(here / "project/seven", dict(list(IMAGE.items())[:7]))
    for flags, words in (
        ("--data seven --subset 8", "7 images in seven; add images: a training needs 8"),
        ("--data three --subset 20", "12 images in three; use 12 or fewer"),
        ("--data three --subset 7", "--subset 7: 7 images, a training needs 8"),
        ("--data three", "--batch-size 32: larger than the data, 12 images; use"),
    ):
        with refused(words):
            find(*FOLDER, *flags.split())
    assert os.listdir("runs") == ["a"]
    config = replace(read_config(project.config), subset=4)
    images.check_count(config, 4, "three", new=False)  # a run goes on with as few as it has
    with refused("--subset 4: 4 images, a training needs 8 or more"):
        images.check_count(config, 4, "three", new=True)
    with refused("--batch-size 4: larger than the data, 1 image; a batch needs 2 or more"):
        images.check_count(config, 1, "three", new=False)


# Few images, and what falls longer than the training lasts


def test_few_images_and_schedules_that_do_not_end_are_told_with_flags_that_fit(caplog):
    def told(count, *argv):
        caplog.clear()
        images.warn_of_few(resolved(*argv), count)
        return "\n".join(caplog.messages)

    assert told(2_000, "--config", "laptop") == told(10_000, "--config", "overnight") == ""
    line = told(301, "--config", "laptop")
    assert line.startswith("301 images: ")
    assert line.endswith("add images, or try --augment shift,colour,cutout")
    line = told(301, "--config", "laptop", "--epochs", 30)
    assert line.endswith("or try --augment shift,colour,cutout --images 40k")
    assert told(301, "--augment", "flip", "--images", "40k").endswith("add images")
    assert told(10_000, "--config", "overnight", "--decay-images", "1M") == (
        "--decay-images 1000000: the training ends after 500,000 images, 50% of them; "
        "use 500000, or --images 1000000"
    )
    line = told(2_000, "--epochs", 1, "--augment", "flip", "--augment-ramp", 10**6)
    assert line.startswith("--augment-ramp 1000000: the training ends after 1,984 images")
    assert told(2_000, "--augment-ramp", 10**9) == ""  # of nothing


# config.toml


def test_settings_edited_in_config_toml_are_refused_as_flags_are(project):
    def edit(old, new):
        text = project.config.read_text(encoding="utf-8")
        assert old in text
        project.config.write_text(text.replace(old, new), encoding="utf-8")

    edit("g_learning_rate = 0.0001", "g_learning_rate = 0.0002")  # these may change
    edit("epochs = 200", "epochs = 300")
    assert find("--run", "runs/a")[0].epochs == 300
    edit("beta_1 = 0.5", "beta_1 = 0.9")
    with refused("--run runs/a: was trained with other settings (beta_1 0.5, you asked for 0.9"):
        find("--run", "runs/a")
    (path,) = checkpoints.files(project.checkpoints)  # of before they had settings
    state, journal = checkpoints.read(path)
    old = {name: value for name, value in vars(journal).items() if name != "settings"}
    content = {**state, "journal": np.array(json.dumps(old))}
    np.savez(path, **content, sha256=np.array(checkpoints.digest_of(content)))
    assert find("--run", "runs/a")[0].beta_1 == 0.9
