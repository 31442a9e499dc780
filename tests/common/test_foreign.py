"""Files that others made: only regular ones, only so many bytes, of the types that are expected."""

import contextlib
import errno
import hashlib
import io
import json
import os

import numpy as np
import pytest
from helpers import SPECIAL, little_memory, put_special, refused
from tiny_run import VERDICT, make_run

from dcgan_tf.common import files, foreign
from dcgan_tf.common.errors import UserError
from dcgan_tf.common.foreign import BadFile
from dcgan_tf.common.runs import started_in
from dcgan_tf.common.scores import append_record, is_verdict
from dcgan_tf.data.pack import is_whole, read_manifest
from dcgan_tf.report.page import page
from dcgan_tf.storage.__main__ import entries

NO_LINK = ("pipe", "huge")  # of what test_no_reader_waits tries, through other readers


@pytest.mark.parametrize("kind", SPECIAL)
def test_no_reader_waits_for_a_pipe_or_fills_the_memory(tmp_path, kind):
    path = tmp_path / "file"
    put_special(path, kind)
    with little_memory():
        with pytest.raises(BadFile):
            foreign.read_file(path)
        with pytest.raises(BadFile):
            foreign.read_npz(path, ["a"])
        assert foreign.read_json(path) == {}
        with refused("--flag", "expected a table") if kind != "huge" else pytest.raises(BadFile):
            foreign.check_file(path, "--flag", "a table")
            foreign.read_file(path)
        with pytest.raises((BadFile, OSError)), foreign.open_zip(path):
            pass


def test_a_disk_that_fails_is_no_bad_file(tmp_path, monkeypatch):
    (tmp_path / "x").write_text("{}")
    for number in (errno.EIO, errno.EMFILE, errno.ESTALE):

        def fail(*args, number=number):
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr(foreign.os, "open", fail)
        with pytest.raises(OSError, match=os.strerror(number)):
            foreign.read_json(tmp_path / "x")


def test_a_file_of_lines_that_cannot_be_read_is_not_written_over(tmp_path):
    path = tmp_path / "lines.jsonl"
    put_special(path, "huge")
    with refused(str(path), "5.4 GB", "move it away"), files.editing_lines(path) as records:
        records.append({})
    assert path.stat().st_size == 5 << 30
    with refused(str(path), "move it away"):
        append_record(path, {})


@pytest.mark.parametrize("text", ["1e400", "[" * 100_000, "{", '"x"', "[]", "\ufeff{", "1" * 5000])
def test_what_is_no_object_is_none(tmp_path, text):
    (tmp_path / "x").write_text(text)
    assert foreign.read_json(tmp_path / "x") == {} == foreign.json_object(text)


@pytest.mark.parametrize(
    ("value", "number", "count"),
    [
        (0, True, True),
        (2**53, True, False),
        (-1, True, False),
        (1e-299, True, False),  # what a D that is sure of itself says
        (True, False, False),
        (1e200, False, False),
        (10**400, False, False),
        (float("nan"), False, False),
        (float("inf"), False, False),
        ("1", False, False),
        (None, False, False),
    ],
)
def test_numbers_and_counts(value, number, count):
    assert (foreign.is_number(value), foreign.is_count(value)) == (number, count)


def npy(array):
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


@pytest.mark.parametrize("array", [np.arange(6).reshape(2, 3), np.eye(3).T[::-1], np.array("a")])
def test_an_array_comes_back(array):
    found = foreign.read_array(npy(np.asfortranarray(array)))
    assert found.dtype == array.dtype
    np.testing.assert_array_equal(found, array)


@pytest.mark.parametrize(
    "content",
    [b"", b"\x93NUMPY", npy(np.array([{}], object)), npy(np.eye(3))[:-1], npy(np.eye(2)) + b"x"],
)
def test_what_is_no_whole_array_is_refused(content):
    with pytest.raises(BadFile, match=r"no whole \.npy"):
        foreign.read_array(content)


# Through the places that read


@pytest.fixture
def pack(tmp_path):
    folder = tmp_path / "packs/own-8-0123456789abcdef"
    folder.mkdir(parents=True)
    pixels = bytes(2 * 8 * 8 * 3)
    np.save(folder / "pixels.npy", np.zeros((2, 8, 8, 3), np.uint8))
    manifest = {"shape": [2, 8, 8, 3], "skipped": {}, "names": ["a", "b"], "where": "own"}
    manifest["pixels_sha256"] = hashlib.sha256(pixels).hexdigest()
    (folder / "manifest.json").write_text(json.dumps(manifest))
    assert is_whole(folder)
    return folder


@pytest.mark.parametrize("kind", NO_LINK)
@pytest.mark.parametrize("name", ["manifest.json", "pixels.npy"])
def test_a_pack_whose_files_are_none_is_not_whole(pack, kind, name):
    (pack / name).unlink()
    put_special(pack / name, kind)
    with little_memory():
        assert not is_whole(pack)
        assert (read_manifest(pack) is None) == (name == "manifest.json")
        with contextlib.suppress(UserError):  # no pack is there
            assert [entry.kind for entry in entries(pack.parent)] == ["pack"]


@pytest.mark.parametrize("kind", NO_LINK)
def test_a_run_whose_files_are_none_is_read_without_them(tmp_path, kind):
    run = make_run(tmp_path / "one", epochs=2)
    names = [run.metrics, run.timing, run.memorisation, run.versions, run.best_score, run.log]
    for path in [*names, run.config, run.reals]:
        path.unlink()
        put_special(path, kind)
    with little_memory(5e7):
        assert b"left out" in page((run,))
        assert started_in(run) is None


@pytest.mark.parametrize("value", ["many", None, 1e-299])
@pytest.mark.parametrize("name", ["copies", "allowed", "samples", "verdict"])
def test_a_verdict_has_numbers_where_numbers_belong(name, value):
    right = isinstance(value, float) and value == value and name in ("copies", "allowed")
    assert is_verdict(VERDICT | {name: value}) == (right or (name, value) == ("verdict", "many"))
    assert is_verdict(VERDICT)
