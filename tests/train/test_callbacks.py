"""What callbacks leave for people: grids, the animation, lines, TensorBoard's events."""

import json
import logging
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from helpers import resolved
from PIL import Image
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
from tiny_gan import tiny

from dcgan_tf.common.checkpoints import Journal
from dcgan_tf.common.foreign import read_lines
from dcgan_tf.common.images import enlarge, grid, read_grid, save_png
from dcgan_tf.common.runs import Run, sample_file
from dcgan_tf.models.sampling import CHUNK, seed_latents
from dcgan_tf.train import build
from dcgan_tf.train.callbacks import base, logs
from dcgan_tf.train.callbacks.base import PeriodicImage
from dcgan_tf.train.callbacks.logs import MetricsLog, TensorBoardLog
from dcgan_tf.train.callbacks.samples import ProgressGif, SampleGrid

LOGS = dict.fromkeys(("d_loss", "g_loss", "d_real", "d_fake"), 0.5)
ORDER = """
StepCounter StopAtNaN
ProgressBar SampleGrid MetricsLog TrainingWarnings TensorBoardLog
Callback
Checkpoint LossPlot ProgressGif RunReport Stop
"""


@pytest.fixture(autouse=True)
def nothing_failed_yet(monkeypatch):
    monkeypatch.setattr(base, "_failing", {})


def test_the_order_of_the_callbacks(tmp_path):
    """Nothing of an epoch is lost by a kill after its checkpoint, and no plot comes before it."""
    config = resolved("--config", "demo", "--tensorboard")
    session = SimpleNamespace(
        **dict.fromkeys(("stop", "restored")),
        run=Run(tmp_path),
        config=config,
        journal=Journal(5, ""),
        pack=SimpleNamespace(pixels=np.zeros((4, 8, 8, 3), np.uint8)),
        changes=[],
        workers=1,
        chief=True,
    )
    own = [keras.callbacks.Callback()]
    names = [type(callback).__name__ for callback in build.build_callbacks(session, own)]
    assert names == ORDER.split()
    session.chief = False  # such a worker writes nothing
    names = [type(callback).__name__ for callback in build.build_callbacks(session, own)]
    assert names == [*ORDER.split()[:2], "Callback", "Stop"]


def test_a_plot_that_fails_is_one_warning_and_tried_again(tmp_path, caplog):
    plot, left = PeriodicImage(tmp_path / "losses.png"), [None, None]

    def draw():
        if left:
            left.pop()
            raise ValueError("Expected end of text\nin mathtext")
        plot.path.write_text("drawn")

    plot.draw = draw
    for _ in range(5):
        plot.redraw(60)  # waits as after a success
    assert len(left) == 1
    plot.redraw(0)
    assert [r.levelno for r in caplog.records if r.levelno > logging.DEBUG] == [logging.WARNING]
    assert "losses.png could not be written" in caplog.text and "end of text" in caplog.text
    plot.on_train_end()
    assert plot.path.read_text() == "drawn"


def test_a_grid_that_could_not_be_written_is_written_after_the_next_epoch(tmp_path, caplog):
    images = (np.full((18, 18, 3), value, np.uint8) for value in (60, 120, 180))
    sampler = SimpleNamespace(grid=lambda count: (next(images), {}))
    grids = SampleGrid(tmp_path / "samples", count=4)
    grids.set_model(SimpleNamespace(sampler=sampler))
    grids.set_params({"epochs": 3})
    grids.on_train_begin()
    paths = [sample_file(grids.folder, epoch) for epoch in (1, 2, 3)]
    paths[0].mkdir()  # in the way
    grids.on_epoch_end(0)
    grids.on_epoch_end(1)
    told = [r.message for r in caplog.records if r.levelno == logging.WARNING]
    assert paths[1].is_file() and len(told) == 1 and "epoch_0001.png could not be" in told[0]
    paths[0].rmdir()
    grids.on_epoch_end(2)
    assert [read_grid(path).getpixel((4, 4))[0] for path in paths] == [60, 120, 180]


# progress.gif


def write_sample(folder, epoch, size=8, count=4, scale=1):
    (folder / "samples").mkdir(exist_ok=True)
    random = np.random.RandomState(epoch)
    images = random.randint(0, 256, (count, size, size, 3), dtype=np.uint8)
    text = {"epoch": epoch, "scale": scale}
    save_png(sample_file(folder / "samples", epoch), enlarge(grid(images), scale), text)


def animation(folder, size=8, epochs=100):
    """A ProgressGif of the grids in folder / "samples", as fit would have begun with it."""
    gif = ProgressGif(folder / "progress.gif", folder / "samples")
    generator = SimpleNamespace(output_shape=(0, size, size, 3))
    gif.set_model(SimpleNamespace(inference_generator=generator))
    gif.set_params({"epochs": epochs})
    gif.on_train_begin()
    return gif


def size_and_frames(path):
    with Image.open(path) as gif:
        return gif.size, gif.n_frames


@pytest.mark.slow
@pytest.mark.parametrize(("size", "side"), [(64, 4 * 66 - 2), (28, 8 * 30 - 2), (400, 400)])
def test_gif_shows_whole_images_of_the_corner_at_most_300_wide(tmp_path, size, side):
    for epoch, scale in ((1, 1), (2, 3)):  # older runs' grids were not enlarged
        write_sample(tmp_path, epoch, size, 64 if size < 400 else 4, scale)
    gif = animation(tmp_path, size, epochs=2)
    gif.on_epoch_end(1)
    assert size_and_frames(gif.path) == ((side, side), 2)


def test_gif_shows_each_sample_at_once_but_is_not_written_all_the_time(tmp_path, monkeypatch):
    clock = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    gif, shown = animation(tmp_path), []
    for epoch, seconds in enumerate((60, 60, 5, 5, 30, 1), start=1):
        clock[0] += seconds
        write_sample(tmp_path, epoch)
        gif.on_epoch_end(epoch - 1)
        shown.append(size_and_frames(gif.path)[1])
    gif.catch_up()  # as before a stop
    assert [*shown, size_and_frames(gif.path)[1]] == [1, 2, 2, 2, 5, 5, 6]


def test_other_files_among_the_samples_and_damaged_ones_are_left_out(tmp_path, caplog):
    for epoch in range(1, 7):
        write_sample(tmp_path, epoch)
    two, three, four, five = (sample_file(tmp_path / "samples", n) for n in (2, 3, 4, 5))
    whole = two.read_bytes()
    for name in ("epoch_best.png", "epoch_0001 (copy).png", "epoch_7.png.part"):
        (tmp_path / "samples" / name).write_bytes(whole)
    two.write_bytes(b"")
    three.write_bytes(whole[: len(whole) // 2])
    Image.new("1", (20_000, 20_000)).save(four)
    five.unlink()
    five.mkdir()
    gif = animation(tmp_path, epochs=6)
    gif.on_epoch_end(5)
    gif.draw()
    assert size_and_frames(gif.path)[1] == 2  # the first and the sixth
    told = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert len(told) == 3  # each once; the folder is no grid
    for number, text in zip((2, 3, 4), told, strict=True):
        assert f"epoch_000{number}.png could not be written or read" in text


# metrics.jsonl, timing.jsonl and TensorBoard


class Sampler:
    """Images of one value, the first number of their latent."""

    def latents(self, seeds):
        return seed_latents(seeds, 3)

    def array(self, latents):
        values = np.uint8(100 + 20 * latents[:, :1, None, None])
        return np.broadcast_to(values, (len(latents), 4, 4, 3))


@pytest.mark.parametrize(
    "damage", [b"", b"[" * 10_000, b'{"epoch": [1]}\n7\nnull\n{"epoch": 1e400}\n']
)
def test_an_epoch_s_line_has_the_diversity_of_seeds_0_to_31_and_its_time(
    tmp_path, monkeypatch, damage
):
    run, journal = Run(tmp_path), Journal(2, "", 2)
    whole = {"epoch": 1, "seconds": 2.0}
    run.timing.write_bytes(json.dumps(whole).encode() + b"\n" + damage)
    diversity = SimpleNamespace(measure=lambda images: {"diversity": float(images.mean())})
    counter, bar = SimpleNamespace(now=False), SimpleNamespace(left="")
    log = MetricsLog(run, journal, counter, bar, diversity)
    log.set_model(SimpleNamespace(batch_size=8, sampler=Sampler()))
    log.set_params({"epochs": 2})
    log.on_train_begin()
    clock, journal.step = iter((50.0, 54.0)), 3  # the epoch was interrupted after its first step
    monkeypatch.setattr(logs.time, "perf_counter", lambda: next(clock))
    log.on_epoch_begin(1)
    journal.step = 4
    log.on_epoch_end(1, LOGS)
    first, last = read_lines(run.timing)
    assert first == whole and last["epoch"] == 2 and last["peak_memory_mb"] > 0
    assert (last["seconds"], last["images_per_second"]) == (8.0, 2.0)
    images = Sampler().array(seed_latents(range(CHUNK), 3))
    expected = {"epoch": 2, "step": 4, "images_seen": 32, **LOGS, "diversity": images.mean()}
    assert read_lines(run.metrics) == journal.history == [expected]


def test_tensorboard_has_the_scalars_and_the_settings_and_a_failure_is_a_warning(tmp_path, caplog):
    journal = SimpleNamespace(history=[{"diversity": 0.75, "roughness": 1.5}])
    config = tiny("celeba", data="/home/somebody/x.zip", init_from="/home/somebody/run")
    for place in ("events", "in the way"):
        (tmp_path / "in the way").touch()
        callback = TensorBoardLog(tmp_path / place, journal, config)
        callback.on_train_begin()
        for epoch in range(2):
            callback.on_epoch_end(epoch, {"d_loss": 0.5})
        assert ("in the way could not be written" in caplog.text) == (place == "in the way")
    (path,) = (tmp_path / "events").iterdir()
    content = path.read_bytes()
    for word in (b"d_loss", b"diversity", b"roughness", b"session_start_info", b"g_channels"):
        assert word in content
    assert b"somebody" not in content
    values = [(e.step, v.tag) for e in EventFileLoader(str(path)).Load() for v in e.summary.value]
    assert [step for step, tag in values if tag == "d_loss"] == [1, 2]
