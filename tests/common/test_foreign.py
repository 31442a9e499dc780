"""Files that others made: only regular ones, only so many bytes, of the types that are expected."""

import contextlib
import errno
import hashlib
import io
import json
import os
from unittest.mock import Mock

import numpy as np
import pytest
from helpers import SPECIAL, little_memory, put_special, refused, write_files
from tiny_run import VERDICT, make_run

from dcgan_tf.common import files, foreign
from dcgan_tf.common.atomic_write import write_lines
from dcgan_tf.common.errors import UserError
from dcgan_tf.common.foreign import BadFile
from dcgan_tf.common.runs import started_in
from dcgan_tf.common.scores import append_record, is_verdict
from dcgan_tf.data.pack import is_whole, read_manifest
from dcgan_tf.report.page import page
from dcgan_tf.storage.__main__ import entries


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
        error = OSError(number, os.strerror(number))
        monkeypatch.setattr(foreign, "open", Mock(side_effect=error), raising=False)
        with pytest.raises(OSError, match=os.strerror(number)):
            foreign.read_json(tmp_path / "x")


def test_lines_survive_torn_ones_are_dropped_and_none_is_written_over_unread(tmp_path):
    path = tmp_path / "lines.jsonl"
    records = [{"epoch": 1, "d_loss": 0.1}, {"epoch": 2, "d_loss": 1e-7}]
    assert foreign.read_lines(path) == []
    write_lines(path, records)
    with path.open("a") as file:
        file.write('{"epoch": 3, "d_lo')
    assert foreign.read_lines(path) == records
    path.unlink()
    put_special(path, "huge")
    with refused(str(path), "5.4 GB", "move it away"), files.editing_lines(path) as lines:
        lines.append({})
    with refused(str(path), "move it away"):
        append_record(path, {})
    assert path.stat().st_size == 5 << 30


def test_what_is_no_object_number_or_count_is_told(tmp_path):
    for text in ("1e400", "[" * 100_000, "{", '"x"', "[]", "\ufeff{", "1" * 5000):
        (tmp_path / "x").write_text(text)
        assert foreign.read_json(tmp_path / "x") == {} == foreign.json_object(text)
    for value in (0, 1, 2**53 - 1):
        assert foreign.is_number(value) and foreign.is_count(value)
    for value in (2**53, -1, 0.5, 1e-299):  # the last as a D that is sure of itself
        assert foreign.is_number(value) and not foreign.is_count(value)
    for value in (True, 1e200, 10**400, float("nan"), float("inf"), "1", None):
        assert not foreign.is_number(value) and not foreign.is_count(value)


def npy(array):
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def test_an_array_comes_back_and_what_is_none_is_refused():
    for array in (np.arange(6).reshape(2, 3), np.eye(3).T[::-1], np.array("a")):
        found = foreign.read_array(npy(np.asfortranarray(array)))
        assert found.dtype == array.dtype
        np.testing.assert_array_equal(found, array)
    objects = npy(np.array([{}], object))  # which only an unpickled file could hold
    for content in (b"", b"\x93NUMPY", objects, npy(np.eye(3))[:-1], npy(np.eye(2)) + b"x"):
        with pytest.raises(BadFile, match=r"not a complete \.npy"):
            foreign.read_array(content)


@pytest.mark.parametrize("kind", ["pipe", "huge"])
def test_packs_and_runs_whose_files_are_none_are_read_without_them(tmp_path, kind):
    pack = tmp_path / "packs/own-8-0123456789abcdef"
    manifest = {"shape": [2, 8, 8, 3], "skipped": {}, "names": ["a", "b"], "where": "own"}
    manifest["pixels_sha256"] = hashlib.sha256(bytes(2 * 8 * 8 * 3)).hexdigest()
    files = {"manifest.json": json.dumps(manifest).encode()}
    write_files(pack, files | {"pixels.npy": npy(np.zeros((2, 8, 8, 3), np.uint8))})
    assert is_whole(pack)
    for name in ("pixels.npy", "manifest.json"):
        (pack / name).unlink()
        put_special(pack / name, kind)
        with little_memory():
            assert not is_whole(pack)
            assert (read_manifest(pack) is None) == (name == "manifest.json")
            with contextlib.suppress(UserError):  # no pack is there
                assert [entry.kind for entry in entries(pack.parent)] == ["pack"]
    run = make_run(tmp_path / "one", epochs=2)
    names = [run.metrics, run.timing, run.memorisation, run.versions, run.best_score, run.log]
    for path in [*names, run.config, run.reals]:
        path.unlink()
        put_special(path, kind)
    with little_memory(5e7):
        assert b"left out" in page((run,))
        assert started_in(run) is None


def test_a_verdict_has_numbers_where_numbers_belong():
    assert is_verdict(VERDICT | {"copies": 1e-299, "allowed": 1e-299, "verdict": "many"})
    for name in ("copies", "allowed", "samples", "verdict"):
        assert not is_verdict(VERDICT | {name: None})
        assert name == "verdict" or not is_verdict(VERDICT | {name: "many"})
    assert not is_verdict(VERDICT | {"samples": 0.5})
