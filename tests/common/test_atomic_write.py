"""Files and folders are whole or not there; each writer has its own, dead writers leave nothing."""

import errno
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from unittest import mock

import pytest
from helpers import REPO, write_files

from dcgan_tf.common import atomic_write
from dcgan_tf.common.atomic_write import new_folder, replacing, write_text
from dcgan_tf.common.errors import describe

KILLED = """
import os, pathlib, signal, sys
from dcgan_tf.common.atomic_write import new_folder, replacing
with {} as made:
    (made / "half" if made.is_dir() else made).write_text("half")
    print("writing", flush=True)
    input()
"""


@pytest.fixture
def writer(tmp_path):
    """A function that starts a process in the middle of `making`, such as replacing("a")."""
    running = []

    def start(making):
        pipe = subprocess.PIPE
        command = [sys.executable, "-c", KILLED.format(making)]
        env = os.environ | {"PYTHONPATH": str(REPO)}
        process = subprocess.Popen(command, cwd=tmp_path, env=env, stdin=pipe, stdout=pipe)
        running.append(process)
        assert process.stdout.readline() == b"writing\n"
        return process

    yield start
    for process in running:
        process.kill()
        process.communicate()


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture(autouse=True)
def as_a_new_process(monkeypatch):
    monkeypatch.setattr(atomic_write, "_swept", set())


def test_of_two_writers_each_publishes_its_own_and_the_last_one_wins(tmp_path, writer):
    path = tmp_path / "report.html"
    other = writer('replacing("report.html")')
    write_text(path, "whole")
    assert path.read_text() == "whole"
    assert other.communicate(b"\n") == (b"", None) and other.returncode == 0
    assert path.read_text() == "half"  # all that it wrote
    texts = [str(number) * 100_000 for number in range(8)]
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda text: write_text(path, text), texts))
    assert path.read_text() in texts and names(tmp_path) == ["report.html"]


def test_what_a_killed_writer_left_goes_and_nothing_else(tmp_path, writer):
    process = writer('replacing("step_00000001.npz")')
    process.kill()
    process.wait()
    assert len(names(tmp_path)) == 1
    write_files(tmp_path, {".writing-book": b"mine", ".writing-0123456789ab": b"mine"})
    write_text(tmp_path / "step_00000002.npz", "whole")
    left = [".writing-0123456789ab", ".writing-book", "step_00000002.npz"]
    assert names(tmp_path) == left


def test_a_file_that_another_program_holds_is_tried_for_a_second(tmp_path, monkeypatch):
    path, held, slept = tmp_path / "losses.png", PermissionError(errno.EACCES, "held"), []
    monkeypatch.setattr("time.sleep", slept.append)
    thrice = [held, held, held, mock.DEFAULT]
    with mock.patch("os.replace", wraps=os.replace, side_effect=thrice):
        write_text(path, "new")
    assert path.read_text() == "new" and len(slept) == 3
    with mock.patch("os.replace", side_effect=held), pytest.raises(OSError) as caught:
        write_text(path, "newer")
    assert caught.value.filename == str(path) and 0.9 < sum(slept[3:]) < 2
    assert names(tmp_path) == ["losses.png"]


def test_a_folder_of_a_dead_maker_goes_and_one_of_a_living_stays(tmp_path, writer):
    dead, alive = (writer(f'new_folder(pathlib.Path("{name}"))') for name in ("0001", "0002"))
    dead.send_signal(signal.SIGKILL)
    dead.wait()
    write_files(tmp_path, {".making-0003/manifest.json": b"mine", ".making-x.lock": b"mine"})
    (tmp_path / ".making-0123456789ab-0003").mkdir()  # no lock beside it
    with new_folder(tmp_path / "0003") as folder:
        (folder / "whole").touch()
    alive.communicate(b"\n")
    left = [".making-0003", ".making-0123456789ab-0003", ".making-x.lock"]
    assert names(tmp_path) == [*left, "0002", "0003"]
    assert names(tmp_path / "0002") == ["half"]


def test_of_two_makers_of_a_folder_the_first_is_whole_and_the_second_says_so(tmp_path, writer):
    other = writer('new_folder(pathlib.Path("o"))')
    with pytest.raises(OSError) as caught, new_folder(tmp_path / "o") as folder:
        (folder / "mine").touch()
        other.communicate(b"\n")
    assert caught.value.errno in (errno.ENOTEMPTY, errno.EEXIST)
    assert caught.value.filename == str(tmp_path / "o")
    assert names(tmp_path) == ["o"] and names(tmp_path / "o") == ["half"]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, OSError])
def test_nothing_is_left_of_a_file_or_folder_that_was_interrupted(error, tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(error), replacing(path) as temporary:
        temporary.write_text("half")
        raise error
    with pytest.raises(error), new_folder(tmp_path / "o") as folder:
        (folder / "half").touch()
        raise error
    assert path.read_text() == "old" and names(tmp_path) == ["a.txt"]


def test_a_file_is_on_the_disk_before_it_has_its_name_and_replaces_a_link(tmp_path, monkeypatch):
    order = []

    def noted(name):
        call = getattr(os, name)
        monkeypatch.setattr(os, name, lambda *args: [order.append(name), call(*args)][1])

    noted("fsync")
    noted("replace")
    path, precious = tmp_path / "file", tmp_path / "precious"
    precious.write_text("x")
    path.symlink_to(precious)
    write_text(path, "whole")
    assert order[:2] == ["fsync", "replace"]  # or a power cut could leave it empty
    assert (precious.read_text(), path.read_text()) == ("x", "whole")


def test_a_folder_in_its_place_and_a_full_disk_are_told_with_the_file(tmp_path):
    (tmp_path / "a.png").mkdir()
    with pytest.raises(IsADirectoryError, match=r"a\.png"), replacing(tmp_path / "a.png"):
        raise AssertionError("the work began")
    with pytest.raises(OSError) as caught, replacing(tmp_path / "a.npz") as temporary:
        temporary.write_text("half")
        raise OSError(errno.ENOSPC, "No space left on device")
    said = describe(caught.value)
    assert f"{tmp_path / 'a.npz'}: No space left on device (" in said and " free)" in said
    assert names(tmp_path) == ["a.png"]
