"""A run's directory is nobody else's, and what is written there is whole."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from helpers import REPO, refused, resolved, write_files

from dcgan_tf.common import files, pretrained, runs
from dcgan_tf.common.config_file import read_config, to_toml
from dcgan_tf.common.errors import IN_USE, Interrupted, UserError
from dcgan_tf.common.runs import Run, sample_file, sample_files
from dcgan_tf.generate.command import parse_generation
from dcgan_tf.train import run_lock


def request(*argv):
    from dcgan_tf.train.command import parse_training

    return parse_training(list(map(str, argv)))


def saved_run(root, config=None):
    root.mkdir()
    (root / "config.toml").write_text(to_toml(config or resolved()), encoding="utf-8")
    return Run(root)


def test_processes_never_share_a_directory_and_numbers_go_on_after_the_highest(tmp_path):
    code = (
        f"import sys; sys.path.insert(0, {str(REPO)!r})\n"
        "from pathlib import Path; from dcgan_tf.common.files import next_directory\n"
        "for _ in range(20): print(next_directory(Path('runs'), 'x').name)\n"
    )
    command, pipe = [sys.executable, "-c", code], subprocess.PIPE
    started = [subprocess.Popen(command, cwd=tmp_path, stdout=pipe, text=True) for _ in range(3)]
    made = [name for process in started for name in process.communicate()[0].split()]
    assert sorted(made) == [f"{n:04d}-x" for n in range(1, 61)]
    for name in ("0067-demo", "0063", "notes", ".hidden"):
        (tmp_path / "runs" / name).mkdir()
    assert files.next_directory(tmp_path / "runs").name == "0068"


@pytest.mark.parametrize("name", ["photo.jpg", "checkpoints"])
def test_a_directory_that_is_no_run_is_refused_but_a_new_empty_or_just_killed_one(name, tmp_path):
    """Hidden files as well: a refused new run removes its directory."""
    (tmp_path / name).mkdir()
    with pytest.raises(UserError, match="no config.toml"):
        run_lock.check_run(Run(tmp_path), resolved())
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="is not a folder"):
        run_lock.check_run(Run(tmp_path / "file"), resolved())
    write_files(tmp_path / "killed", {".lock": b"", ".writing-0123456789ab-config.toml": b""})
    (tmp_path / "empty").mkdir()
    for good in ("new", "empty", "killed"):
        run_lock.check_run(Run(tmp_path / good), resolved())


def test_a_resumed_run_keeps_its_settings_but_those_that_may_change(tmp_path):
    config = resolved("--width", 0.5)
    run = saved_run(tmp_path / "a", config)
    run_lock.check_run(run, replace(config, epochs=900, packs="elsewhere", tensorboard=False))
    with pytest.raises(UserError) as caught:
        run_lock.check_run(run, resolved("--width", 0.25, "--seed", 1, "--epochs", 3))
    assert "width 0.5, you asked for 0.25; seed 0, you asked for 1)" in str(caught.value)
    run.config.write_text("epochs = ")
    with pytest.raises(UserError, match=r"config\.toml: not valid TOML"):
        run_lock.check_run(run, config)


def test_claim_makes_a_numbered_run_and_refuses_a_live_owner(here):
    with run_lock.claim(request("--config", "demo", "--seed", 5)) as run:
        assert run.root == Path("runs/0001-demo-s5")
    assert read_config(run.config) == resolved("--config", "demo", "--seed", 5)
    versions = json.loads(run.versions.read_text())
    assert {"tensorflow", "keras", "numpy", "python", "git_commit"} <= set(versions)
    with run_lock.claim(request("--config", "demo")) as second:
        assert second.root == Path("runs/0002-demo-s0")
    wanted = request("--run", here / "deep" / "a")
    with run_lock.claim(wanted), pytest.raises(UserError) as caught, run_lock.claim(wanted):
        pass
    assert caught.value.code == IN_USE
    with run_lock.claim(wanted):  # the lock of one that ended is not in the way
        pass


def test_a_run_that_never_began_leaves_no_directory_and_one_that_began_is_kept(here, monkeypatch):
    for error in (UserError("x"), Interrupted(15), OSError("full")):
        with pytest.raises(type(error)), run_lock.claim(request()):
            raise error
        assert list(here.iterdir()) == []
    with pytest.raises(UserError), run_lock.claim(request()) as run:
        run.losses.write_bytes(b"")
        raise UserError("x")
    with pytest.raises(UserError), run_lock.claim(request("--run", run.root)):
        raise UserError("x")
    assert run.config.is_file()
    monkeypatch.setenv("PATH", "")
    assert run_lock.versions()["git_commit"] is None


def test_newest_is_the_run_whose_generator_was_written_last(here):
    with pytest.raises(UserError, match="no run with a generator.keras"):
        runs.newest()
    for name, time in (("0001-a", 30), ("0002-b", 50), ("0003-c", 40), ("0004-new", None)):
        (here / "runs" / name).mkdir(parents=True)
        if time:
            path = here / "runs" / name / "generator.keras"
            path.write_bytes(b"")
            os.utime(path, (time, time))
    assert runs.newest().root.name == "0002-b"


def test_a_run_s_name_tells_recipe_data_and_seed_in_plain_characters():
    names = {
        ("--config", "laptop", "--data", "own/mugs/", "--seed", "3"): "laptop-mugs-s3",
        ("--dataset", "folder", "--data", "Tante Käthe's (2).zip"): "Tante-K-the-s-2-s0",
        ("--data", "tfds"): "celeba-s0",
        ("--config", "faces"): "faces-celeba-s0",
    }
    for argv, name in names.items():
        wanted = request(*argv)
        assert run_lock.name_run(wanted.config_name, wanted.config) == name


@pytest.mark.parametrize("links", [True, False])
def test_latest_leads_to_the_run_that_was_trained_last(links, here, monkeypatch):
    def refuse(*args, **kwargs):
        raise OSError("no privilege")

    if not links:
        monkeypatch.setattr(Path, "symlink_to", refuse)
    for name in ("0001-laptop", "0002-demo-s0"):
        with run_lock.claim(request("--run", f"runs/{name}")) as run:
            runs.mark_latest(Run(run.root.absolute()))
            run.generator.write_bytes(b"")
    latest = here / "runs/latest"
    assert latest.is_symlink() == links and Run("runs/latest").root == Path("runs/0002-demo-s0")
    assert request("--run", "runs/latest").run_dir == Path("runs/0002-demo-s0")
    assert runs.find("runs/latest").root == Path("runs/0002-demo-s0")
    for words in (["--run", "runs/0001-laptop"], ["runs/0001-laptop"]):
        assert request("--resume", "--epochs", "9", *words).run_dir == Path("runs/0001-laptop")
    with refused("name one"):
        request("--resume", "2", "--run", "runs/0001-laptop")
    monkeypatch.setenv("HOME", str(here))
    assert request("--resume=~/runs/0001-laptop").run_dir == here / "runs/0001-laptop"
    (here / "mine.toml").write_text("epochs = 7")
    for words in (["--config=~/mine.toml"], ["~/mine.toml"]):
        assert request(*words).config.epochs == 7
    begun = request("--init-from", "runs/latest", "--run", "runs/new")
    assert begun.config.init_from == "runs/0002-demo-s0"  # latest will be another
    both = [f"runs/latest/{name}" for name in ("best/generator.keras", "discriminator.keras")]
    begun = request("--init-from", ",".join(both), "--run", "runs/new")
    assert begun.config.init_from == ",".join(both).replace("latest", "0002-demo-s0")
    run_lock.save_config(run, request("--init-from", "runs/0001-laptop").config)
    again = ["--init-from", "runs/latest", "--run", str(run.root)]  # the command of its beginning
    assert request(*again).config.init_from == "runs/0001-laptop"
    run_lock.save_config(run, request().config)
    assert request(*again).config.init_from == "runs/0002-demo-s0"  # refused later
    names = {"0001-laptop", "0002-demo-s0", "latest"}
    assert {path.name for path in latest.parent.iterdir()} == names
    assert runs.newest().root.name == "0002-demo-s0"
    with refused("there are runs/0001-laptop, runs/0002-demo-s0"):
        runs.find("runs/nope", "--run")
    latest.unlink()
    latest.mkdir()  # a person's own is left alone
    runs.mark_latest(run)
    assert latest.is_dir() and Run("runs/latest").root == Path("runs/latest")


def test_a_number_that_two_runs_have_is_asked_about(here):
    write_files(here, {f"runs/{name}/config.toml": b"" for name in ("0001-a", "0001-b", "0012-c")})
    assert runs.find("12").root == Path("runs/0012-c")
    with refused("1: 0001-a and 0001-b have this number; name one"):
        runs.find("1")
    assert runs.find("0001-b").root == Path("runs/0001-b")


def test_a_run_on_another_drive_is_found_from_where_it_began(tmp_path, monkeypatch):
    def other_drive(*_):
        raise ValueError("path is on mount 'C:', start on mount 'D:'")

    run = saved_run(tmp_path / "a", resolved("--data", "own"))
    begun = {"directory": str(tmp_path / "b"), "run": str(run.root)}
    run.versions.write_text(json.dumps(begun))
    (tmp_path / "b/own").mkdir(parents=True)
    monkeypatch.setattr("os.path.relpath", other_drive)
    assert runs.find_again(run, read_config(run.config)).data == str(tmp_path / "b/own")


def test_a_run_that_does_not_exist_is_answered_with_those_that_do(here):
    with refused("--run runs/nope: no such run; there is no run in runs"):
        runs.find("runs/nope", "--run")
    known = [f"runs/{number:04d}-a" for number in range(1, 8)]
    write_files(here, {f"{name}/config.toml": b"" for name in known})
    (here / "runs/notes").mkdir()
    assert runs.find("runs/notes").root == Path("runs/notes")
    assert runs.find("3").root == runs.find("0003-a").root == Path("runs/0003-a")
    with refused("0003_a: no such run; did you mean 0003-a?"):
        runs.find("0003_a")
    with refused(f"nope: no such run; there are {', '.join(known[2:])} and 2 more"):
        parse_generation(["nope"])
    for words in (["--pretrained", "faces"], ["faces"]):
        assert parse_generation(words).model == pretrained.FOLDER / "faces" / "generator.keras"
    with refused("no such file; expected a generator's .keras file"):
        parse_generation(["nope.keras"])
    with refused("got faces as well as a flag for the generator; give only one"):
        parse_generation(["faces", "--run", "3"])


def test_sample_grids_are_in_the_order_of_their_epochs(tmp_path):
    run = Run(tmp_path)
    run.samples.mkdir()
    for epoch in (10_000, 2, 9_999, 1):
        sample_file(run.samples, epoch).write_bytes(b"")
    (run.samples / "notes.txt").write_text("")
    assert list(sample_files(run.samples)) == [1, 2, 9_999, 10_000]
    assert sample_file(run.samples, 1).name == "epoch_0001.png"
