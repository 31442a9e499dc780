"""What a training can do without may fail: one warning, tried again, after the checkpoint."""

import logging
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from helpers import resolved
from PIL import Image

from dcgan_tf.common.checkpoints import Journal
from dcgan_tf.common.runs import Run, sample_file
from dcgan_tf.train import build
from dcgan_tf.train.callbacks import base
from dcgan_tf.train.callbacks.base import PeriodicImage
from dcgan_tf.train.callbacks.logs import TensorBoardLog
from dcgan_tf.train.callbacks.samples import SampleGrid


@pytest.fixture(autouse=True)
def nothing_failed_yet(monkeypatch):
    monkeypatch.setattr(base, "_failing", {})


class Plot(PeriodicImage):
    """Fails as often as it is told, then writes."""

    def __init__(self, path, failures):
        super().__init__(path)
        self.failures = failures

    def draw(self):
        self.failures -= 1
        if self.failures >= 0:
            raise ValueError("Expected end of text\nin mathtext")
        self.path.write_text("drawn")


def test_a_plot_that_fails_is_one_warning_and_tried_again(tmp_path, caplog):
    plot = Plot(tmp_path / "losses.png", failures=2)
    plot.redraw(0)
    plot.redraw(0)
    assert [r.levelno for r in caplog.records if r.levelno > logging.DEBUG] == [logging.WARNING]
    assert "losses.png could not be written" in caplog.text and "end of text" in caplog.text
    plot.on_train_end()
    assert plot.path.read_text() == "drawn"


def test_a_failed_plot_waits_as_long_as_one_that_was_drawn(tmp_path):
    plot = Plot(tmp_path / "losses.png", failures=9)
    for _ in range(5):
        plot.redraw(60)
    assert plot.failures == 8


ORDER = """
RestoreMeans LearningRates StepCounter StopAtNaN
ProgressBar SampleGrid MetricsLog TrainingWarnings TensorBoardLog
Callback
Checkpoint LossPlot ProgressGif Stop
"""


def test_the_order_of_the_callbacks(tmp_path):
    """Nothing of an epoch is lost by a kill after its checkpoint, and no plot comes before it."""
    config = resolved("--config", "demo", "--tensorboard")
    session = SimpleNamespace(
        run=Run(tmp_path),
        config=config,
        stop=None,
        journal=Journal(5, ""),
        pack=SimpleNamespace(pixels=np.zeros((4, 8, 8, 3), np.uint8)),
        changes=[],
        restored=None,
        workers=1,
        chief=True,
    )
    own = [keras.callbacks.Callback()]
    names = [type(callback).__name__ for callback in build.build_callbacks(session, own)]
    assert names == ORDER.split()
    session.chief = False  # such a worker writes nothing
    names = [type(callback).__name__ for callback in build.build_callbacks(session, own)]
    assert names == [*ORDER.split()[:4], "Callback", "Stop"]


def test_a_grid_that_could_not_be_written_is_written_after_the_next_epoch(tmp_path, caplog):
    images = iter(np.full((3, 4, 8, 8, 3), 60, np.uint8) * np.arange(1, 4).reshape(3, 1, 1, 1, 1))
    sampler = SimpleNamespace(latent_dim=2, array=lambda latents: next(images))
    grids = SampleGrid(tmp_path / "samples", count=4)
    grids.set_model(SimpleNamespace(sampler=sampler))
    grids.set_params({"epochs": 3})
    grids.on_train_begin()
    first, second, third = (sample_file(grids.folder, epoch) for epoch in (1, 2, 3))
    first.mkdir()  # in the way
    grids.on_epoch_end(0)
    grids.on_epoch_end(1)
    assert second.is_file() and len([r for r in caplog.records if r.message]) >= 1
    first.rmdir()
    grids.on_epoch_end(2)
    for path, value in ((first, 60), (second, 120), (third, 180)):
        with Image.open(path) as image:
            assert image.getpixel((40, 40))[0] == value


def test_tensorboard_that_cannot_write_is_a_warning(tmp_path, caplog):
    folder = tmp_path / "tensorboard"
    folder.write_text("in the way")
    journal = SimpleNamespace(history=[{"diversity": 0.5, "roughness": 1.0}])
    log = TensorBoardLog(folder, journal, resolved())
    log.on_epoch_end(0, {"d_loss": 0.5})
    assert "tensorboard could not be written" in caplog.text
    folder.unlink()
    log.on_epoch_end(1, {"d_loss": 0.5})
    assert any(folder.iterdir())


def test_a_finished_run_gets_the_plots_that_a_kill_left_out(tmp_path):
    run, config = Run(tmp_path), resolved("--config", "demo")
    run.config.write_text("")
    names = ("d_loss", "g_loss", "d_real", "d_fake")
    history = [{"epoch": e, "step": 5 * e} | dict.fromkeys(names, 0.5) for e in (1, 2)]
    run.samples.mkdir()
    Image.new("RGB", (18, 18)).save(sample_file(run.samples, 1))
    build.redraw(run, config, Journal(5, "", 10, history), after=0)
    assert run.losses.stat().st_size > 5000
    with Image.open(run.progress) as image:
        assert image.n_frames == 1
    seen = run.losses.stat().st_mtime_ns
    build.redraw(run, config, Journal(5, "", 10, history), after=0)
    assert run.losses.stat().st_mtime_ns == seen
