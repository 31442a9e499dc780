"""dcgan_tf.train: what a program of one's own has of the command, and the command of it."""

import dataclasses
import functools
import importlib.machinery
import itertools
import sys
import types
from pathlib import Path

import keras
import pytest
import tensorflow as tf
from helpers import face_jpeg, refused, write_files

import dcgan_tf
from dcgan_tf import Config, losses
from dcgan_tf.common.checkpoints import read_newest
from dcgan_tf.common.config_file import to_toml
from dcgan_tf.common.errors import Interrupted, UserError
from dcgan_tf.common.foreign import read_lines
from dcgan_tf.common.runs import Run
from dcgan_tf.models.sampling import weights_sha256
from dcgan_tf.train import library, training
from dcgan_tf.train.__main__ import main
from dcgan_tf.train.command import Request, parse_training
from dcgan_tf.train.images import recognize_images

SMALL = Config(
    **{"dataset": "demo", "subset": 16, "epochs": 2, "batch_size": 8, "image_size": 16},
    **{"base_size": 4, "g_channels": (8, 8), "d_channels": (8, 8), "width": 0.5},
    **{"sample_count": 4, "tensorboard": False},
)
OWN_LOSS = """
import tensorflow as tf

class LeastSquares:
    def discriminator(self, real_logits, fake_logits, rng):
        return tf.reduce_mean((real_logits - 1) ** 2 + fake_logits**2) / 2

    def generator(self, fake_logits):
        return tf.reduce_mean((fake_logits - 1) ** 2)
"""


class Scaled(losses.NonSaturating):
    """A loss with an argument."""

    def __init__(self, factor=1.0):
        super().__init__()
        self.factor = factor

    def generator(self, fake_logits):
        return self.factor * super().generator(fake_logits)


def networks():
    keras.utils.set_random_seed(3)
    latents = keras.Input((6,))
    x = keras.layers.Reshape((4, 4, 4))(keras.layers.Dense(64)(latents))
    x = keras.layers.Conv2DTranspose(3, 8, 4, "same", activation="tanh")(x)
    images = keras.Input((16, 16, 3))
    y = keras.layers.Flatten()(keras.layers.Conv2D(4, 4, 4, "same")(images))
    return keras.Model(latents, x), keras.Model(images, keras.layers.Dense(1)(y))


def weights_in(run):
    return weights_sha256(keras.saving.load_model(run.generator, compile=False))


@pytest.mark.slow
def test_own_parts_have_all_that_the_command_has(here):
    epochs = []
    look = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: epochs.append(epoch))
    own = {"loss": Scaled(0.5), "networks": networks, "callbacks": [look]}
    whole = dcgan_tf.train(SMALL, run="whole", **own)
    assert whole.report.is_file() and whole.losses.is_file() and epochs == [0, 1]
    assert len(list(whole.samples.glob("epoch_*.png"))) == 2
    assert dcgan_tf.load_generator(whole.root).latent_dim == 6
    once = dataclasses.replace(SMALL, epochs=1)
    parts = dcgan_tf.train(once, run="parts", **own)
    assert weights_in(parts) != weights_in(whole)
    dcgan_tf.train(SMALL, run="parts", **own)
    assert weights_in(parts) == weights_in(whole), "the same call resumes, to the same bits"
    with refused("was trained with other settings", "loss"):
        dcgan_tf.train(SMALL, run="parts", loss=losses.Hinge(), networks=networks)
    with refused("test_from_a_program:Scaled(...) was made by a program; go on there"):
        main(["--run", "parts", "--epochs", "3"])
    with refused("networks: make images of (16, 16, 3); set image_size (now 32)"):
        dcgan_tf.train(dataclasses.replace(SMALL, image_size=32, base_size=8), networks=networks)


@pytest.mark.slow
def test_the_command_takes_a_loss_by_its_name(here, monkeypatch):
    (here / "own_losses.py").write_text(OWN_LOSS)
    (here / "small.toml").write_text(to_toml(SMALL))
    monkeypatch.setattr(sys, "path", [*sys.path])
    assert main(["small.toml", "--loss", "own_losses:LeastSquares", "--run", "own"]) == 0
    assert 'loss = "own_losses:LeastSquares"' in (here / "own" / "config.toml").read_text()
    with refused("--loss: got own_losses:Lost", "expected module:Name"):
        main(["small.toml", "--loss", "own_losses:Lost", "--run", "lost"])
    with refused("--loss: got 'lost', expected one of", "or module:Name of your own"):
        parse_training(["--loss", "lost"])


@pytest.mark.slow
def test_a_callback_may_end_it_and_the_run_goes_on_by_its_own_settings(here, caplog):
    caplog.set_level("INFO")
    config = dataclasses.replace(SMALL, checkpoint_every=9, epochs=9)
    stop = keras.callbacks.EarlyStopping("g_loss", mode="min", patience=0, min_delta=1e9)
    run = dcgan_tf.train(config, callbacks=[stop])
    assert run.root.name == "0001-demo-s0" and run.generator.is_file()
    assert "to resume: the same call with run='runs/0001-demo-s0'" in caplog.messages
    assert [path.name for path in run.checkpoints.glob("*.npz")] == ["step_00000004.npz"]
    assert dcgan_tf.train(run=run.root, callbacks=[stop]).root == run.root
    caplog.clear()
    last = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: setattr(last.model, "stop_training", epoch == 1)
    )
    dcgan_tf.train(SMALL, callbacks=[last])  # at its end anyway
    assert "done: 2 epochs in runs/0002-demo-s0" in caplog.messages


def test_what_train_cannot_take_is_refused_and_nothing_is_left(here, monkeypatch):
    monkeypatch.setenv("HOME", str(here))
    for given, words in (
        ({}, "config: got None, expected a Config, or none and a run to resume"),
        ({"config": {"epochs": 1}}, "config: got {'epochs': 1}, expected a Config"),
        ({"config": SMALL, "run": 5}, "got 5, expected the path of a run"),
        ({"config": SMALL, "data": ""}, "data: got an empty text, expected a path"),
        ({"run": "~/gone"}, f"{here}/gone/config.toml: cannot be read"),
        ({"config": SMALL, "callbacks": keras.callbacks.Callback()}, "callbacks: got <keras"),
        ({"config": SMALL, "callbacks": [5]}, "callbacks: got [5], expected a list of keras"),
        ({"config": SMALL, "loss": 5}, "loss: got int, expected an object with the methods"),
    ):
        with refused(words):
            dcgan_tf.train(**given)
        assert not list(here.glob("runs/*"))


def at_step(number, action):
    """A callback that does something after a step, counted from 1."""
    steps = itertools.count(1)
    after = lambda batch, logs: action(look) if next(steps) == number else None  # noqa: E731
    look = keras.callbacks.LambdaCallback(on_train_batch_end=after)
    return look


def fail(look):
    raise RuntimeError("a fault of one's own")


@pytest.mark.slow
def test_a_training_that_fails_leaves_nothing_or_a_page_that_does_not_wait_for_more(here):
    with pytest.raises(RuntimeError):
        dcgan_tf.train(SMALL, run="runs/a", callbacks=[at_step(1, fail)])
    assert not list(here.glob("runs/*"))
    first = dcgan_tf.train(SMALL)
    with pytest.raises(RuntimeError):
        dcgan_tf.train(SMALL, run=here / "runs/b", callbacks=[at_step(1, fail)])
    assert Run("runs/latest").root == first.root
    longer = dataclasses.replace(SMALL, epochs=3)
    with pytest.raises(RuntimeError):
        dcgan_tf.train(longer, run="runs/a", callbacks=[at_step(3, fail)])
    page = (here / "runs/a/report.html").read_text(encoding="utf-8")
    assert '"reload":null' in page


def test_a_recognized_data_set_changes_no_other_setting(here):
    write_files(here / "own", {f"{k}.jpg": face_jpeg(k) for k in range(8)})
    config = dataclasses.replace(SMALL, dataset="auto", crop="auto", subset=0, data="own")
    request = Request(config, config.dataset, None, by_program=True)
    found = recognize_images(request)
    assert found.config_name == "folder"
    assert found.config == dataclasses.replace(config, dataset="folder", crop="center")


@pytest.mark.parametrize(("signum", "kind"), [(2, KeyboardInterrupt), (15, SystemExit)])
def test_a_signal_before_the_first_step_is_what_python_has_for_it(signum, kind, here, monkeypatch):
    def interrupt(*_):
        raise Interrupted(signum)

    monkeypatch.setattr(training, "open_session", interrupt)
    with pytest.raises(kind) as caught:
        dcgan_tf.train(SMALL, run="runs/a")
    assert kind is KeyboardInterrupt or caught.value.code == 128 + signum
    assert not list(here.glob("runs/*"))


def test_a_worker_that_is_lost_before_the_first_step_is_one_line(here, monkeypatch):
    def lost(*_):
        raise tf.errors.UnavailableError(None, None, "connection reset")

    monkeypatch.setattr(training, "open_session", lost)
    monkeypatch.setattr(training.devices, "worker", lambda config: (1, 2))
    request = Request(SMALL, "demo", Path("runs/a"))
    with pytest.raises(UserError, match="another worker died; there is no checkpoint") as caught:
        training.run_training(request)
    assert caught.value.code == 5


def test_a_home_folder_is_expanded_and_a_program_s_parts_are_named_as_such(here, monkeypatch):
    monkeypatch.setenv("HOME", str(here / "home"))
    asked = []
    monkeypatch.setattr(library, "prepare", lambda request: asked.append(request) or 1 / 0)
    build = functools.partial(networks)
    config = dataclasses.replace(SMALL, packs="~/packs", dataset="folder", subset=0)
    with pytest.raises(ZeroDivisionError):
        dcgan_tf.train(config, data="~/photos", run="~/runs/a", networks=build)
    (request,) = asked
    assert (request.config.data, request.config.packs) == (
        str(here / "home/photos"),
        str(here / "home/packs"),
    )
    assert request.run_dir == here / "home/runs/a"
    assert request.config.networks.endswith("(...)")  # a partial has no module and name of its own


@pytest.mark.slow
def test_other_images_than_a_run_has_are_refused(here):
    for first, name in ((0, "own"), (20, "other")):
        write_files(here / name, {f"{k}.jpg": face_jpeg(first + k) for k in range(8)})
    config = dataclasses.replace(SMALL, dataset="folder", subset=0, epochs=1)
    run = dcgan_tf.train(config, data="own", run="runs/a")
    longer = dataclasses.replace(config, epochs=2)
    with refused("--data other: other images than this run was trained on"):
        dcgan_tf.train(longer, data="other", run="runs/a")
    assert 'data = "own"' in run.config.read_text()


@pytest.mark.slow
def test_an_epoch_in_which_a_callback_stops_is_finished_by_a_resume_in_one_record(
    here, tracked, caplog, capsys
):
    caplog.set_level("INFO")

    def stop(look):
        look.model.stop_training = True

    run = dcgan_tf.train(SMALL, run="runs/tracked", callbacks=[at_step(1, stop)])
    assert {"saved at step 1 (epochs done: 0)", "to resume: the same call"} < {*caplog.messages}
    assert not run.metrics.exists() and not list(run.samples.iterdir())
    journal = read_newest(run.checkpoints)[1]
    assert [point[0] for point in journal.curve["points"]] == [1]
    assert main(["--run", "runs/tracked", "--tracker", "trackio"]) == 0
    assert [line["epoch"] for line in read_lines(run.metrics)] == [1, 2]
    assert [said for said in tracked if isinstance(said, str)] == ["init", "finish"]
    assert "--run runs/tracked --tracker trackio" in capsys.readouterr().out


@pytest.fixture
def tracked(monkeypatch):
    """A stand-in for trackio, and a list of its calls."""
    said = []

    def log(values, step):
        said.append((step, values))
        if step == 2:
            raise ConnectionError("no network")

    tracker = types.ModuleType("trackio")
    tracker.init = lambda **settings: said.extend(["init", settings])
    tracker.log, tracker.finish = log, lambda: said.append("finish")
    tracker.__spec__ = importlib.machinery.ModuleSpec("trackio", None)
    monkeypatch.setitem(sys.modules, "trackio", tracker)
    return said


@pytest.mark.slow
def test_a_tracker_is_told_of_each_epoch_and_may_fail(here, tracked, capsys):
    (here / "small.toml").write_text(to_toml(dataclasses.replace(SMALL, tensorboard=True)))
    assert main(["small.toml", "--run", "runs/tracked", "--tracker", "trackio"]) == 0
    (_, began, (first, values), (second, _), last) = tracked
    assert (began["project"], began["name"]) == ("dcgan_tf", "tracked")
    assert began["config"]["g_channels"] == (8, 8) and began["config"]["subset"] == 16
    assert (first, second, last) == (1, 2, "finish")
    assert {"d_loss", "g_loss"} <= values.keys() and all(type(v) is float for v in values.values())
    assert "trackio could not be written" in capsys.readouterr().out
    assert not (here / "runs/tracked/tensorboard").exists()
