"""A checkpoint holds everything, is whole or not taken, and says so."""

import errno
import json
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


def test_only_the_named_parts_are_restored_and_only_of_the_same_model(trained, tmp_path):
    fresh, state = build(tiny(), keras.optimizers.Adam), checkpoints.state_of(trained)
    before = checkpoints.state_of(fresh)
    checkpoints.restore(fresh, state, ("metrics/",))
    after = checkpoints.state_of(fresh)
    changed = {name.split("/")[0] for name in after if (before[name] != after[name]).any()}
    assert changed == {"metrics"}
    state.pop(next(iter(state)))
    with pytest.raises(UserError, match="another model"):
        checkpoints.restore(trained, state)


HARM = {
    "truncated": lambda data: data[:-50],
    "flipped bit": lambda data: data.replace(np.float64(500).tobytes(), np.float64(501).tobytes()),
    "empty": lambda data: b"",
    "text": lambda data: b"hello",
}


@pytest.mark.parametrize("harm", [*HARM, "other content"])
def test_damaged_checkpoint_is_passed_over_with_a_message(tmp_path, harm, caplog):
    values = {"a": np.arange(1000.0)}
    for step in (1, 2, 3, 4):
        newest = write(tmp_path, values, step, keep=2)
    names = [path.name for path in checkpoints.files(tmp_path)]
    assert names == ["step_00000003.npz", "step_00000004.npz"]
    if harm == "other content":  # a whole zip whose checksum is of something else
        with np.load(newest) as content:
            np.savez(newest, **{**content, "a": np.arange(1000.0) + 1})
    else:
        newest.write_bytes(HARM[harm](newest.read_bytes()))
    assert checkpoints.read_newest(tmp_path)[1].step == 3
    (said,) = caplog.messages
    assert newest.name in said and "damaged" in said
    assert newest.with_suffix(".damaged").exists()  # out of the way of the next one


def test_one_of_the_first_version_opens_none_whole_is_an_error_none_at_all_a_start(tmp_path):
    assert checkpoints.read_newest(tmp_path) is None
    journal = {"steps_per_epoch": 5, "pixels_sha256": "abc", "step": 2, "history": []}
    state = {"a": np.arange(3), "journal": np.array(json.dumps(journal))}
    sha256 = np.array(checkpoints.digest_of(state))
    np.savez(tmp_path / "step_00000002.npz", **state, sha256=sha256)
    assert checkpoints.read_newest(tmp_path)[1] == Journal(5, "abc", 2, [], {})
    (tmp_path / "step_00000002.npz").write_bytes(b"")
    with pytest.raises(UserError, match="every checkpoint is damaged"):
        checkpoints.read_newest(tmp_path)


@pytest.mark.parametrize(
    "error", [PermissionError(errno.EACCES, "no"), OSError(errno.EIO, "disk"), MemoryError()]
)
def test_one_that_cannot_be_read_now_is_not_called_damaged(error, tmp_path, monkeypatch):
    for step in (1, 2):
        write(tmp_path, {"a": np.arange(9)}, step)

    def fail(path, *args, real=open, **kwargs):
        if str(path).endswith("_00000002.npz"):
            raise error
        return real(path, *args, **kwargs)

    monkeypatch.setattr("builtins.open", fail)
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
