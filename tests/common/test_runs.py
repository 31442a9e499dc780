"""A run's directory is nobody else's, and what is written there is whole."""

import errno
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from helpers import REPO, refused, resolved, write_files

from dcgan_tf.common import files, pretrained, runs
from dcgan_tf.common.atomic_write import replacing, write_lines, write_text
from dcgan_tf.common.config_file import read_config, to_toml
from dcgan_tf.common.errors import IN_USE, Interrupted, UserError, describe
from dcgan_tf.common.foreign import read_lines
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


def test_processes_never_share_a_directory(tmp_path):
    code = (
        f"import sys; sys.path.insert(0, {str(REPO)!r})\n"
        "from pathlib import Path; from dcgan_tf.common.files import next_directory\n"
        "for _ in range(20): print(next_directory(Path('runs'), 'x').name)\n"
    )
    command = [sys.executable, "-c", code]
    started = [
        subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True) for _ in range(3)
    ]
    made = [name for process in started for name in process.communicate()[0].split()]
    assert sorted(made) == [f"{n:04d}-x" for n in range(1, 61)]


def test_numbers_go_on_after_the_highest(tmp_path):
    for name in ("0007-demo", "0003", "notes", ".hidden"):
        (tmp_path / name).mkdir()
    assert files.next_directory(tmp_path, "celeba").name == "0008-celeba"
    assert files.next_directory(tmp_path).name == "0009"


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, OSError])
def test_replacing_writes_nothing_when_interrupted(error, tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(error), replacing(path) as temporary:
        temporary.write_text("half")
        raise error
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_replacing_never_writes_through_a_link(tmp_path):
    path, precious = tmp_path / "a.txt", tmp_path / "precious"
    precious.write_text("x")
    path.symlink_to(precious)
    write_text(path, "newer")
    assert (precious.read_text(), path.read_text()) == ("x", "newer")


def test_a_folder_in_a_file_s_place_is_told_before_the_work(tmp_path):
    (tmp_path / "a.png").mkdir()
    with pytest.raises(IsADirectoryError, match=r"a\.png"), replacing(tmp_path / "a.png"):
        raise AssertionError("the work began")


def test_a_full_disk_is_told_with_the_file_and_the_free_space(tmp_path):
    path = tmp_path / "a.npz"
    with pytest.raises(OSError) as caught, replacing(path) as temporary:
        temporary.write_text("half")
        raise OSError(errno.ENOSPC, "No space left on device")
    assert caught.value.filename == str(path)
    said = describe(caught.value)
    assert "a.npz: No space left on device (" in said and " are free there)" in said
    assert list(tmp_path.iterdir()) == []


def test_check_refuses_a_file(tmp_path):
    (tmp_path / "a").write_text("")
    with pytest.raises(UserError, match="this is a file"):
        run_lock.check_run(Run(tmp_path / "a"), resolved())


@pytest.mark.parametrize("name", ["photo.jpg", ".git", "checkpoints"])
def test_check_refuses_a_directory_that_is_no_run(name, tmp_path):
    """Hidden files as well: a refused new run removes its directory."""
    (tmp_path / name).mkdir()
    with pytest.raises(UserError, match="no config.toml"):
        run_lock.check_run(Run(tmp_path), resolved())


@pytest.mark.parametrize("left", [None, ".lock", ".writing-config.toml"])
def test_check_accepts_a_new_an_empty_and_a_just_killed_directory(left, tmp_path):
    run_lock.check_run(Run(tmp_path / "new"), resolved())
    if left:
        (tmp_path / left).write_text("")
    run_lock.check_run(Run(tmp_path), resolved())


def test_check_refuses_another_config_by_its_fields(tmp_path):
    run = saved_run(tmp_path / "a", resolved("--width", 0.5))
    with pytest.raises(UserError) as caught:
        run_lock.check_run(run, resolved("--width", 0.25, "--seed", 1, "--epochs", 3))
    assert "width 0.5, you asked for 0.25; seed 0, you asked for 1)" in str(caught.value)


def test_check_allows_what_may_change(tmp_path):
    config = resolved()
    run = saved_run(tmp_path / "a", config)
    run_lock.check_run(run, config)
    run_lock.check_run(run, replace(config, epochs=900, packs="elsewhere", tensorboard=False))


def test_check_refuses_a_damaged_config_by_its_file(tmp_path):
    run = saved_run(tmp_path / "a")
    run.config.write_text("epochs = ")
    with pytest.raises(UserError, match=r"config\.toml: not valid TOML"):
        run_lock.check_run(run, resolved())


def test_claim_makes_a_numbered_run_with_config_and_versions(here):
    with run_lock.claim(request("--config", "demo", "--seed", 5)) as run:
        assert run.root == Path("runs/0001-demo")
    assert read_config(run.config) == resolved("--config", "demo", "--seed", 5)
    versions = json.loads(run.versions.read_text())
    assert {"tensorflow", "keras", "numpy", "python", "git_commit"} <= set(versions)
    with run_lock.claim(request("--config", "demo")) as second:
        assert second.root == Path("runs/0002-demo")


def test_claim_refuses_a_live_owner_with_its_own_code(tmp_path):
    wanted = request("--run", tmp_path / "deep" / "a")
    with run_lock.claim(wanted), pytest.raises(UserError) as caught, run_lock.claim(wanted):
        pass
    assert caught.value.code == IN_USE
    with run_lock.claim(wanted):  # the lock of one that ended is not in the way
        pass


@pytest.mark.parametrize("error", [UserError("x"), Interrupted(15), OSError("full")])
def test_a_run_that_never_began_leaves_no_directory(error, here):
    with pytest.raises(type(error)), run_lock.claim(request()):
        raise error
    assert list(here.iterdir()) == []


def test_a_run_that_began_is_kept_whatever_stops_it(here):
    with pytest.raises(UserError), run_lock.claim(request()) as run:
        run.reals.write_bytes(b"")
        raise UserError("x")
    with pytest.raises(UserError), run_lock.claim(request("--run", run.root)):
        raise UserError("x")
    assert run.config.is_file()


def test_without_git_the_versions_say_so(monkeypatch):
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


def test_a_run_that_does_not_exist_is_answered_with_those_that_do(here):
    with refused("--run runs/nope: no such run; there is no run in runs"):
        runs.find("runs/nope", "--run")
    for number in range(1, 8):
        write_files(here / f"runs/{number:04d}-a", {"config.toml": b""})
    (here / "runs/notes").mkdir()
    assert runs.find("runs/notes").root == Path("runs/notes")
    assert runs.find("3").root == runs.find("0003-a").root == Path("runs/0003-a")
    with refused("0003_a: no such run; did you mean 0003-a?"):
        runs.find("0003_a")
    listed = ", ".join(f"runs/{number:04d}-a" for number in range(3, 8))
    with refused(f"nope: no such run; there are {listed} and 2 more"):
        parse_generation(["nope"])
    for words in (["--pretrained", "faces"], ["faces"]):
        assert parse_generation(words).model == pretrained.FOLDER / "faces" / "generator.keras"
    with refused("no such file; expected a generator's .keras file"):
        parse_generation(["nope.keras"])
    with refused("got faces as well as a flag for it; name one"):
        parse_generation(["faces", "--run", "3"])


def test_lines_survive_and_torn_ones_are_dropped(tmp_path):
    path = tmp_path / "metrics.jsonl"
    records = [{"epoch": 1, "d_loss": 0.1}, {"epoch": 2, "d_loss": 1e-7}]
    assert read_lines(path) == []
    write_lines(path, records)
    assert read_lines(path) == records
    assert path.read_text().count("\n") == 2
    with path.open("a") as file:
        file.write('{"epoch": 3, "d_lo')
    assert read_lines(path) == records


def test_sample_grids_are_in_the_order_of_their_epochs(tmp_path):
    run = Run(tmp_path)
    run.samples.mkdir()
    for epoch in (10_000, 2, 9_999, 1):
        sample_file(run.samples, epoch).write_bytes(b"")
    (run.samples / "notes.txt").write_text("")
    assert list(sample_files(run.samples).values()) == [
        sample_file(run.samples, epoch) for epoch in (1, 2, 9_999, 10_000)
    ]
    assert sample_file(run.samples, 1).name == "epoch_0001.png"
