"""A run directory: what stands in the way, and what is left when a training ends early."""

import contextlib
import errno
import os
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from helpers import resolved

from dcgan_tf.common import checkpoints
from dcgan_tf.common.atomic_write import new_folder
from dcgan_tf.common.cli import run_command
from dcgan_tf.common.errors import DIVERGED, UserError
from dcgan_tf.common.runs import epoch_of, mark_latest
from dcgan_tf.train import run_lock
from dcgan_tf.train.command import parse_training


def request(root=None):
    run_dir = root and Path(root)
    return SimpleNamespace(config=resolved(), run_dir=run_dir, config_name="celeba", named=())


def fail(root=None, during=lambda run: None):
    """Claim a directory for a training that ends in an error after `during(run)`."""
    with pytest.raises(UserError, match="boom"), run_lock.claim(request(root)) as run:
        during(run)
        raise UserError("boom", code=DIVERGED)
    return run


def tree(root):
    return sorted(str(path.relative_to(root)) for path in Path(root).rglob("*"))


@contextlib.contextmanager
def refused_claim(words, root):
    with pytest.raises(UserError, match=words) as caught, run_lock.claim(request(root)):
        pass
    yield str(caught.value)


def test_files_of_somebody_else_are_refused_and_stay(here):
    Path("mine").mkdir()
    Path("mine/novel.txt").write_text("a novel")
    with refused_claim("no config.toml", "mine"):
        assert tree("mine") == ["novel.txt"]
    Path("mine/.git").mkdir()  # what is hidden is in nobody's way
    Path("mine/novel.txt").rename("mine/.git/HEAD")
    fail("mine")
    assert tree("mine") == [".git", ".git/HEAD"]
    assert Path("mine/.git/HEAD").read_text() == "a novel"
    os.symlink("../mine/.git/HEAD", "mine/.lock")  # no lock is written through a link
    with refused_claim(r"\.lock: not a plain file", "mine"):
        assert Path("mine/.git/HEAD").read_text() == "a novel"


def test_a_run_s_name_tells_the_size_and_fit_that_were_typed(here):
    (here / "photos").mkdir()
    for flags, name in (
        (["--image-size", "128"], "0001-laptop-photos-128px-s0"),
        (["--fit", "pad"], "0001-laptop-photos-pad-s0"),
        (["--image-size", "32", "--fit", "stretch"], "0001-laptop-photos-32px-stretch-s0"),
        (["--width", "0.5"], "0001-laptop-photos-s0"),
    ):
        typed = ["--config", "laptop", "--dataset", "folder", "--data", "photos", *flags]
        with run_lock.claim(parse_training(typed)) as run:
            assert run.root.name == name
            run_lock._undo(run)


def test_folders_made_for_a_run_that_fails_go_with_it_and_others_stay(here):
    def during(run):
        run.tensorboard.mkdir()
        (run.tensorboard / "events.out.tfevents.1.host.2.0.v2").write_text("")

    Path("runs").mkdir()
    Path("mine").mkdir()
    os.symlink("mine", "link")
    fail(None, during)
    for root in ("deep/er/run", "mine", "link", "mine/."):
        fail(root, during)
    assert tree(here) == ["link", "mine", "runs"] and os.readlink("link") == "mine"


@pytest.mark.parametrize("name", ["checkpoints/step_00000003.npz", "generator.keras", "notes.txt"])
def test_a_run_with_anything_trained_or_foreign_in_it_is_kept_whole(name, here):
    run = fail("a", lambda run: (run.root / name).write_text("x"))
    assert (run.root / name).read_text() == "x"
    assert run.config.is_file() and run.log.parent.is_dir()


def test_what_windows_does_not_delete_while_it_is_open_stops_nothing(here, monkeypatch):
    unlink = Path.unlink

    def held(path, *args, **named):
        if path.suffix == ".lock" or path.name == ".lock":
            raise PermissionError(13, "used by another process", str(path))
        unlink(path, *args, **named)

    monkeypatch.setattr(Path, "unlink", held)
    with new_folder(here / "made") as folder:
        (folder / "a").touch()
    assert (here / "made/a").is_file()
    fail(None, mark_latest)
    assert not os.path.lexists("runs/latest")


def test_runs_itself_may_be_no_folder(here):
    for kind in ("file", "loop"):
        Path("runs").touch() if kind == "file" else os.symlink("runs", "runs")
        for root in (None, "runs", "runs/a"):
            with refused_claim("is not a folder", root):
                assert tree(here) == ["runs"]
        Path("runs").unlink()


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


NAMES = ("epoch_best.png", "epoch_1.png", "epoch_0001 (copy).png", "epoch_٣٣٣٣.png", "epoch_.png")
NAMES += ("step_best.npz", "step_2.npz", "step_00000002 (copy).npz", ".writing-step_00000009.npz")


def test_a_file_that_a_person_named_is_no_grid_and_no_checkpoint(here):
    checkpoints.write(here, {"a": np.arange(3)}, checkpoints.Journal(5, "x", 2), keep=3)
    for name in NAMES:
        (here / name).write_bytes(b"not ours")
        assert epoch_of(here / name) is None
    assert [path.name for path in checkpoints.files(here)] == ["step_00000002.npz"]
