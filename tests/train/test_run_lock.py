"""A run directory: what stands in the way, and what is left when a training ends early."""

import errno
import os
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from helpers import resolved

from dcgan_tf.common import checkpoints
from dcgan_tf.common.cli import run_command
from dcgan_tf.common.errors import DIVERGED, UserError
from dcgan_tf.common.runs import Run, epoch_of, sample_file
from dcgan_tf.train import run_lock


def request(root=None):
    return SimpleNamespace(config=resolved(), run_dir=root and Path(root), config_name="celeba")


def fail(root=None, during=lambda run: None):
    """Claim a directory for a training that ends in an error after `during(run)`."""
    with pytest.raises(UserError, match="boom"), run_lock.claim(request(root)) as run:
        during(run)
        raise UserError("boom", code=DIVERGED)
    return run


def tree(root):
    return sorted(str(path.relative_to(root)) for path in Path(root).rglob("*"))


@pytest.mark.parametrize("name", [".lock-notes", ".writing-book", ".writing-step", ".lockfile"])
def test_files_of_somebody_else_are_refused_and_stay(name, here):
    Path("mine").mkdir()
    Path("mine", name).write_text("a novel")
    with pytest.raises(UserError, match="no config.toml"), run_lock.claim(request("mine")):
        pass
    assert Path("mine", name).read_text() == "a novel"
    assert tree("mine") == [name]


def test_a_folder_that_was_there_stays_and_is_as_empty_as_before(here):
    Path("mine").mkdir()
    fail("mine")
    assert tree(here) == ["mine"]


def test_a_link_to_a_folder_stays(here):
    Path("disk").mkdir()
    os.symlink("disk", "mine")
    fail("mine")
    assert os.readlink("mine") == "disk"
    assert tree("disk") == []


def test_folders_made_for_a_run_go_with_it_and_others_stay(here):
    Path("runs").mkdir()
    fail()
    assert tree(here) == ["runs"]
    fail("deep/er/run")
    assert tree(here) == ["runs"]


def test_the_current_folder_can_be_a_run(here):
    fail(".")
    assert tree(here) == []
    with run_lock.claim(request(".")) as run:
        assert run.config.is_file()


@pytest.mark.parametrize(
    "name",
    ["checkpoints/step_00000003.npz", "generator.keras", "samples/epoch_0001.png", "my notes.txt"],
)
def test_a_run_with_anything_trained_or_foreign_in_it_is_kept_whole(name, here):
    run = fail("a", lambda run: (run.root / name).write_text("x"))
    assert (run.root / name).read_text() == "x"
    assert run.config.is_file() and run.log.parent.is_dir()


@pytest.mark.parametrize("trained", [False, True])
def test_too_little_memory_takes_nothing_that_was_trained(trained, here):
    with pytest.raises(MemoryError), run_lock.claim(request("faces")) as run:
        if trained:
            (run.checkpoints / "step_00000003.npz").write_bytes(b"whole")
        raise MemoryError
    assert Path("faces/checkpoints/step_00000003.npz").exists() == trained
    assert Path("faces/config.toml").exists() == trained
    assert Path("faces").exists() == trained


def test_tensorboard_events_of_a_run_that_never_began_go_with_it(here):
    def during(run):
        run.tensorboard.mkdir()
        (run.tensorboard / "events.out.tfevents.1.host.2.0.v2").write_text("")

    fail("a", during)
    assert tree(here) == []


@pytest.mark.parametrize("kind", ["file", "loop", "nowhere"])
def test_runs_itself_may_be_no_folder(kind, here):
    if kind == "file":
        Path("runs").write_text("x")
    else:
        os.symlink("runs" if kind == "loop" else "gone", "runs")
    for root, word in ((None, "is no folder"), ("runs", "this is a"), ("runs/a", "is no folder")):
        with pytest.raises(UserError, match=word), run_lock.claim(request(root)):
            pass
    assert tree(here) == ["runs"]


@pytest.mark.parametrize("name", ["a\0b", "a\udcffb"])
def test_names_that_keras_and_tensorflow_cannot_write_are_refused(name, here):
    with pytest.raises(UserError, match="UTF-8"), run_lock.claim(request(name)):
        pass
    assert tree(here) == []


def test_no_lock_is_written_through_a_link(here):
    Path("a").mkdir()
    Path("precious").write_text("x")
    os.symlink("../precious", "a/.lock")
    with pytest.raises(UserError, match=r"\.lock: a link"), run_lock.claim(request("a")):
        pass
    assert Path("precious").read_text() == "x"


def test_a_disk_without_locks_is_named(monkeypatch, here, capsys):
    fcntl = pytest.importorskip("fcntl")  # not on Windows

    def flock(*args):
        raise OSError(errno.ENOLCK, "No locks available")

    def main(argv):
        with run_lock.claim(request("a")):
            pass

    monkeypatch.setattr(fcntl, "flock", flock)
    assert run_command(main) == 2
    line = "error: No locks available; this file system has no locks: put --run and"
    assert capsys.readouterr().err.startswith(line)


def test_a_run_may_lie_on_several_disks(here):
    """Folders of a run that are links to folders."""
    with run_lock.claim(request("a")) as run:
        pass
    Path("disk").mkdir()
    run.checkpoints.rmdir()
    os.symlink("../disk", run.checkpoints)
    with run_lock.claim(request("a")) as again:
        assert Run(again.root).checkpoints.is_dir()


def put(path, kind):
    """Something that training did not make, in the place of `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        os.symlink({"loop": path.name, "nowhere": "gone"}[kind], path)


@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize("kind", ["folder", "loop", "nowhere", "pipe"])
def test_what_stands_in_the_way_is_named_before_a_training(kind, known, here, monkeypatch):
    monkeypatch.setattr(run_lock, "versions", dict)
    run = Run(Path("a"))
    if known:
        with run_lock.claim(request("a")):
            pass
    places = [run.metrics, run.generator, run.report, run.tensorboard, run.lock]
    places += [sample_file(run.samples, 3), run.checkpoints / "step_00000007.npz"]
    for place in places[:4] if kind == "folder" else places:
        if kind == "folder" and place in run.folders():
            continue
        place.unlink(missing_ok=True)
        put(place, kind)
        before = os.lstat(place).st_ino
        with pytest.raises(UserError) as caught, run_lock.claim(request("a")):
            pass
        assert place.name in str(caught.value) or "no config.toml" in str(caught.value)
        assert os.lstat(place).st_ino == before
        place.rmdir() if kind == "folder" else place.unlink()


NAMES = ("epoch_best.png", "epoch_1.png", "epoch_0001 (copy).png", "epoch_٣٣٣٣.png", "epoch_.png")
NAMES += ("step_best.npz", "step_2.npz", "step_00000002 (copy).npz", ".writing-step_00000009.npz")


@pytest.mark.parametrize("name", NAMES)
def test_a_file_that_a_person_named_is_no_grid_and_no_checkpoint(name, here):
    checkpoints.write(here, {"a": np.arange(3)}, checkpoints.Journal(5, "x", 2), keep=3)
    (here / name).write_bytes(b"not ours")
    assert epoch_of(here / name) is None
    assert [path.name for path in checkpoints.files(here)] == ["step_00000002.npz"]
    assert (here / name).read_bytes() == b"not ours"
