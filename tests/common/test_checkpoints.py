"""A checkpoint holds everything, is whole or not taken, and says so."""

import errno
import json
import os
import zipfile
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from helpers import little_memory
from tiny_gan import build, fit, tiny

from dcgan_tf.common import checkpoints
from dcgan_tf.common.checkpoints import Journal
from dcgan_tf.common.errors import UserError


@pytest.fixture(scope="module")
def trained():
    model = build(tiny(), keras.optimizers.Adam)
    fit(model, 3)
    return model


def write(folder, state, step, keep=3):
    journal = Journal(5, "abc", step, [{"epoch": 1, "d_loss": 0.5}])
    return checkpoints.write(folder, state, journal, keep)


def test_restores_weights_moments_iterations_and_metrics(trained, tmp_path):
    state = checkpoints.state_of(trained)
    write(tmp_path, state, 3)
    found, journal = checkpoints.read_newest(tmp_path)
    assert journal == Journal(5, "abc", 3, [{"epoch": 1, "d_loss": 0.5}])
    fresh = build(tiny(), keras.optimizers.Adam)
    assert checkpoints.digest_of(checkpoints.state_of(fresh)) != checkpoints.digest_of(state)
    checkpoints.restore(fresh, found)
    assert checkpoints.digest_of(checkpoints.state_of(fresh)) == checkpoints.digest_of(state)
    assert int(fresh.d_optimizer.iterations) == 3
    moments = [n for n in state if n.startswith("d_optimizer/") and "momentum" in n]
    assert moments and all(np.abs(state[n]).max() > 0 for n in moments if "kernel" in n)
    assert any(n.startswith("metrics/") and state[n] == 3 for n in state)  # the means' counts


def test_only_the_named_parts_are_restored(trained, tmp_path):
    fresh = build(tiny(), keras.optimizers.Adam)
    before = checkpoints.state_of(fresh)
    checkpoints.restore(fresh, checkpoints.state_of(trained), ("metrics/",))
    after = checkpoints.state_of(fresh)
    changed = {
        name.split("/")[0] for name in after if not np.array_equal(before[name], after[name])
    }
    assert changed == {"metrics"}


def test_keeps_the_last_k(tmp_path):
    for step in (1, 2, 3, 4):
        write(tmp_path, {"a": np.arange(3)}, step, keep=2)
    assert [path.name for path in checkpoints.files(tmp_path)] == [
        "step_00000003.npz",
        "step_00000004.npz",
    ]


@pytest.mark.parametrize("harm", ["truncated", "flipped bit", "empty", "text", "other content"])
def test_damaged_checkpoint_is_passed_over_with_a_message(tmp_path, harm, caplog):
    values = {"a": np.arange(1000.0)}
    write(tmp_path, values, 1)
    newest = write(tmp_path, values, 2)
    data = newest.read_bytes()
    middle = len(data) // 2
    flipped = data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]
    newest.write_bytes(
        {"truncated": data[:-50], "flipped bit": flipped, "empty": b"", "text": b"hello"}.get(
            harm, b""
        )
    )
    if harm == "other content":  # a whole zip whose checksum is of something else
        np.savez(newest, a=np.arange(1000.0), journal=np.array("{}"), sha256=np.array("0"))
    _, journal = checkpoints.read_newest(tmp_path)
    assert journal.step == 1
    (said,) = caplog.messages
    assert newest.name in said and "damaged" in said
    assert newest.with_suffix(".damaged").exists()  # out of the way of the next one


def test_checkpoint_from_before_the_threads_were_recorded_still_opens(tmp_path):
    journal = {"steps_per_epoch": 5, "pixels_sha256": "abc", "step": 2, "history": []}
    state = {"a": np.arange(3), "journal": np.array(json.dumps(journal))}
    sha256 = np.array(checkpoints.digest_of(state))
    np.savez(tmp_path / "step_00000002.npz", **state, sha256=sha256)
    assert checkpoints.read_newest(tmp_path)[1] == Journal(5, "abc", 2, [], {})


def test_none_whole_is_an_error_and_none_at_all_is_a_start(tmp_path):
    assert checkpoints.read_newest(tmp_path) is None
    write(tmp_path, {"a": np.arange(3)}, 1).write_bytes(b"")
    with pytest.raises(UserError, match="no checkpoint .* is whole"):
        checkpoints.read_newest(tmp_path)


def test_state_of_another_model_is_refused(trained):
    state = checkpoints.state_of(trained)
    state.pop(next(iter(state)))
    with pytest.raises(UserError, match="another model"):
        checkpoints.restore(trained, state)


class Failing:
    """Stands for `open`: a file whose reading fails."""

    def __init__(self, error):
        self._error, self._open = error, open

    def __call__(self, path, *args, **kwargs):
        if str(path).endswith("_00000002.npz"):
            raise self._error
        return self._open(path, *args, **kwargs)


@pytest.mark.parametrize(
    "error",
    [
        *(OSError(number, os.strerror(number)) for number in (errno.EACCES, errno.EIO)),
        MemoryError(),
    ],
    ids=str,
)
def test_one_that_cannot_be_read_now_is_not_called_damaged(error, tmp_path, monkeypatch):
    for step in (1, 2):
        write(tmp_path, {"a": np.arange(9)}, step)
    monkeypatch.setattr("builtins.open", Failing(error))
    with pytest.raises(type(error)) as caught:
        checkpoints.read_newest(tmp_path)
    assert "step_00000002.npz" in str(caught.value) or isinstance(error, MemoryError)
    assert checkpoints.read_journal(SimpleNamespace(checkpoints=tmp_path)) == {}
    monkeypatch.undo()
    assert [path.suffix for path in checkpoints.files(tmp_path)] == [".npz"] * 2
    assert checkpoints.read_newest(tmp_path)[1].step == 2


def test_one_that_claims_more_than_it_has_is_damaged_and_takes_no_memory(tmp_path):
    path = write(tmp_path, {"a": np.arange(9)}, 1)
    with zipfile.ZipFile(path) as archive:
        entries = archive.filelist
        place = archive.start_dir
    data = bytearray(path.read_bytes())
    size = entries[0].file_size.to_bytes(4, "little")
    first = data.index(size + size, place)
    data[first : first + 8] = (2**32 - 2).to_bytes(4, "little") * 2
    path.write_bytes(data)
    with little_memory(), pytest.raises(ValueError, match="more than the .* that the file has"):
        checkpoints.read(path)
