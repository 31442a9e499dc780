"""What a training can do without may fail: one warning, tried again, after the checkpoint."""

import logging
from types import SimpleNamespace

import numpy as np
import pytest
from helpers import resolved
from PIL import Image

from dcgan_tf.common.checkpoints import Journal
from dcgan_tf.common.runs import Run, sample_file
from dcgan_tf.train import build
from dcgan_tf.train.callbacks import periodic_image
from dcgan_tf.train.callbacks.control import Checkpoint, Stop
from dcgan_tf.train.callbacks.logs import MetricsLog, TensorBoardLog
from dcgan_tf.train.callbacks.periodic_image import PeriodicImage
from dcgan_tf.train.callbacks.samples import SampleGrid
from dcgan_tf.train.signals import StopRequest


@pytest.fixture(autouse=True)
def nothing_failed_yet(monkeypatch):
    monkeypatch.setattr(periodic_image, "_failing", {})


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
    assert [r.levelno for r in caplog.records if r.message] == [logging.WARNING]
    assert "losses.png could not be written" in caplog.text and "end of text" in caplog.text
    plot.on_train_end()
    assert plot.path.read_text() == "drawn"


def test_a_failed_plot_waits_as_long_as_one_that_was_drawn(tmp_path):
    plot = Plot(tmp_path / "losses.png", failures=9)
    for _ in range(5):
        plot.redraw(60)
    assert plot.failures == 8


def test_a_plot_is_drawn_after_the_checkpoint(tmp_path):
    plot, journal = Plot(tmp_path / "losses.png", 0), Journal(5, "", 5)
    last = Stop(journal, StopRequest(), 2, [plot])
    plot.redraw(0)  # as in its own on_epoch_end
    assert not plot.path.exists()
    last.on_epoch_end(0)
    assert plot.path.exists()


def test_the_order_of_the_callbacks(tmp_path):
    """Nothing of an epoch is lost by a kill after its checkpoint, and no plot comes before it."""
    config = resolved("--config", "demo", "--tensorboard")
    pack = SimpleNamespace(pixels=np.zeros((4, 8, 8, 3), np.uint8))
    session = SimpleNamespace(
        run=Run(tmp_path),
        config=config,
        stop=None,
        journal=Journal(5, ""),
        pack=pack,
        plan=[],
        restored=None,
        workers=1,
        chief=True,
    )
    order = build.callbacks(session)
    kinds = [type(callback) for callback in order]
    before = kinds[: kinds.index(Checkpoint)]
    assert before.index(SampleGrid) < before.index(MetricsLog) < before.index(TensorBoardLog)
    assert kinds[-2:] == [Checkpoint, Stop]
    assert [c.path.name for c in order if isinstance(c, PeriodicImage) and c.put_off] == [
        "losses.png",
        "progress.gif",
    ]


def test_a_grid_that_could_not_be_written_is_written_after_the_next_epoch(tmp_path, caplog):
    pictures = iter(np.full((3, 4, 8, 8, 3), 60, np.uint8) * np.arange(1, 4).reshape(3, 1, 1, 1, 1))
    sampler = SimpleNamespace(latent_dim=2, array=lambda latents: next(pictures))
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
    log = TensorBoardLog(folder, SimpleNamespace(history=[{"diversity": 0.5, "roughness": 1.0}]))
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
