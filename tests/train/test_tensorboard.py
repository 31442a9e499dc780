"""What TensorBoard is given of a run: its scalars, and its settings for the tab HPARAMS."""

from types import SimpleNamespace

import pytest
import tensorflow as tf
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
from tensorboard.plugins.hparams import metadata
from tiny_gan import tiny

from dcgan_tf.common.config import FIELDS
from dcgan_tf.train.callbacks.logs import TensorBoardLog

LOGS = {"d_loss": 0.5, "g_loss": 1.5}
JOURNAL = SimpleNamespace(history=[{"diversity": 0.75, "roughness": 1.5}])


def train(folder, config):
    """Two epochs as the callback sees them."""
    callback = TensorBoardLog(folder, JOURNAL, config)
    callback.on_train_begin()
    for epoch in range(2):
        callback.on_epoch_end(epoch, LOGS)


def values(folder):
    """{tag: [summary value, step of each]} of all event files."""
    found = {}
    for path in sorted(folder.iterdir()):
        for event in EventFileLoader(str(path)).Load():
            for value in event.summary.value:
                found.setdefault(value.tag, []).append((value, event.step))
    return found


def settings(value):
    """{name: value} of a session that HPARAMS shows."""
    hparams = metadata.parse_session_start_info_plugin_data(
        value.metadata.plugin_data.content
    ).hparams
    return {name: getattr(v, v.WhichOneof("kind")) for name, v in hparams.items()}


def test_the_settings_stand_beside_the_scalars(tmp_path):
    config = tiny("celeba", data="/home/somebody/x.zip", init_from="/home/somebody/run", flip=True)
    train(tmp_path, config)
    found = values(tmp_path)
    pixels = JOURNAL.history[0]
    assert found.keys() == {metadata.SESSION_START_INFO_TAG, *LOGS, *pixels}
    for tag, number in (LOGS | pixels).items():
        assert [tf.make_ndarray(value.tensor) for value, _ in found[tag]] == pytest.approx(
            [number] * 2
        )
        assert [step for _, step in found[tag]] == [1, 2]
    ((value, step),) = found[metadata.SESSION_START_INFO_TAG]
    shown = settings(value)
    assert step == 0 and shown.keys() == FIELDS.keys() - {"data", "packs", "inception"}
    assert shown["g_channels"] == "16,16" and shown["loss"] == "non_saturating"
    assert shown["g_learning_rate"] == config.g_learning_rate and shown["flip"] is True
    assert b"somebody" not in b"".join(path.read_bytes() for path in tmp_path.iterdir())


def test_a_run_that_goes_on_shows_its_settings_of_now(tmp_path):
    train(tmp_path, tiny("celeba"))
    (first,) = tmp_path.iterdir()
    train(tmp_path, tiny("celeba", epochs=900))
    assert len(list(tmp_path.iterdir())) == 2 and first.exists()
    sessions = [settings(v)["epochs"] for v, _ in values(tmp_path)[metadata.SESSION_START_INFO_TAG]]
    assert sorted(sessions) == [200, 900]
