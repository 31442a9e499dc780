"""Each writer has a temporary file or folder of its own, and dead writers leave nothing."""

import errno
import os
import signal
import subprocess
import sys
import threading

import pytest
from helpers import REPO, write_files

from dcgan_tf.common import atomic_write
from dcgan_tf.common.atomic_write import new_folder, write_text

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
        code = KILLED.format(making)
        env = os.environ | {"PYTHONPATH": str(REPO)}
        command = [sys.executable, "-c", code]
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
    assert names(tmp_path) == ["report.html"]


def test_many_writers_at_once_leave_one_whole_file(tmp_path):
    path, texts = tmp_path / "a.txt", [str(number) * 100_000 for number in range(8)]
    threads = [threading.Thread(target=write_text, args=(path, text)) for text in texts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert path.read_text() in texts and names(tmp_path) == ["a.txt"]


def test_what_a_killed_writer_left_goes_whatever_the_next_file_is(tmp_path, writer):
    process = writer('replacing("step_00000001.npz")')
    process.kill()
    process.wait()
    assert len(names(tmp_path)) == 1
    write_files(tmp_path, {".writing-book": b"mine", ".writing-0123456789ab": b"mine"})
    write_text(tmp_path / "step_00000002.npz", "whole")
    left = [".writing-0123456789ab", ".writing-book", "step_00000002.npz"]
    assert names(tmp_path) == left


def test_the_file_of_a_living_writer_stays(tmp_path, writer):
    other = writer('replacing("a")')
    write_text(tmp_path / "b", "whole")
    other.communicate(b"\n")
    assert (tmp_path / "a").read_text() == "half"


@pytest.mark.parametrize(("refusals", "fits"), [(3, True), (99, False)])
@pytest.mark.parametrize("number", [errno.EACCES, errno.EBUSY])
def test_a_file_that_another_program_holds_is_tried_for_a_second(
    refusals, fits, number, tmp_path, monkeypatch
):
    left, slept = [refusals], []
    real = os.replace

    def held(*paths):
        left[0] -= 1
        if left[0] >= 0:
            raise OSError(number, os.strerror(number), str(paths[0]), None, str(paths[1]))
        return real(*paths)

    monkeypatch.setattr(os, "replace", held)
    monkeypatch.setattr("time.sleep", slept.append)
    path = tmp_path / "losses.png"
    if fits:
        write_text(path, "new")
        assert path.read_text() == "new"
    else:
        with pytest.raises(OSError) as caught:
            write_text(path, "new")
        assert caught.value.filename == str(path) and 0.9 < sum(slept) < 2
    assert not list(tmp_path.glob(".writing*"))


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


def test_a_folder_that_cannot_be_made_leaves_nothing(tmp_path):
    with pytest.raises(ValueError), new_folder(tmp_path / "o") as folder:
        (folder / "half").touch()
        raise ValueError
    assert names(tmp_path) == []


def test_a_file_is_on_the_disk_before_it_has_its_name(tmp_path, monkeypatch):
    order = []

    def noted(name):
        call = getattr(os, name)
        monkeypatch.setattr(os, name, lambda *args: [order.append(name), call(*args)][1])

    noted("fsync")
    noted("replace")
    write_text(tmp_path / "file", "whole")
    assert order[:2] == ["fsync", "replace"]  # or a power cut could leave it empty
    assert (tmp_path / "file").read_text() == "whole"
