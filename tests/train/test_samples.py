"""What people look at: that it shows what it should, at a size that they can open."""

import types

import numpy as np
import pytest
from PIL import Image

from dcgan_tf.common.images import enlarge, grid, save_png
from dcgan_tf.common.runs import sample_file
from dcgan_tf.train.callbacks import samples
from dcgan_tf.train.callbacks.samples import ProgressGif


def write_sample(folder, epoch, size=8, count=4, scale=1):
    folder.mkdir(exist_ok=True)
    random = np.random.RandomState(epoch)
    pictures = random.randint(0, 256, (count, size, size, 3), dtype=np.uint8)
    text = {"epoch": epoch, "scale": scale}
    save_png(sample_file(folder, epoch), enlarge(grid(pictures), scale), text)


def animation(folder, size=8, epochs=100):
    """A ProgressGif of the grids in folder / "samples", as fit would have begun with it."""
    gif = ProgressGif(folder / "progress.gif", folder / "samples")
    generator = types.SimpleNamespace(output_shape=(0, size, size, 3))
    gif.set_model(types.SimpleNamespace(inference_generator=generator))
    gif.set_params({"epochs": epochs})
    gif.on_train_begin()
    return gif


def size_and_frames(path):
    with Image.open(path) as gif:
        return gif.size, gif.n_frames


@pytest.mark.slow
@pytest.mark.parametrize("scale", [1, 3])
@pytest.mark.parametrize(
    ("size", "side"), [(64, 4 * 66 - 2), (28, 8 * 30 - 2), (8, 3 * (8 * 10 - 2)), (400, 400)]
)
def test_gif_shows_whole_pictures_of_the_corner_at_most_300_wide(tmp_path, size, side, scale):
    for epoch in (1, 2, 3):
        write_sample(tmp_path / "samples", epoch, size, 64 if size < 400 else 4, scale)
    gif = animation(tmp_path, size, epochs=2)
    gif.on_epoch_end(1)  # the third is of an epoch that is done again
    assert size_and_frames(gif.path) == ((side, side), 2)


def test_gif_goes_on_over_a_change_of_scale(tmp_path):
    """As in a run from before grids were enlarged."""
    write_sample(tmp_path / "samples", 1, 28, 16)
    write_sample(tmp_path / "samples", 2, 28, 16, scale=5)
    gif = animation(tmp_path, 28, epochs=2)
    gif.on_epoch_end(1)
    assert size_and_frames(gif.path) == ((236, 236), 2)


def test_gif_shows_each_sample_at_once_but_is_not_written_all_the_time(tmp_path, monkeypatch):
    clock = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    gif, shown = animation(tmp_path), []
    for epoch, seconds in enumerate((60, 60, 5, 5, 30), start=1):
        clock[0] += seconds
        write_sample(tmp_path / "samples", epoch)
        gif.on_epoch_end(epoch - 1)
        shown.append(size_and_frames(gif.path)[1])
    assert shown == [1, 2, 2, 2, 5]
    clock[0] += 1
    write_sample(tmp_path / "samples", 6)
    gif.on_epoch_end(5)
    gif.catch_up()  # as before a stop
    assert size_and_frames(gif.path)[1] == 6


def test_gif_of_a_long_training_opens_60_grids_at_most(tmp_path, monkeypatch):
    opened = []
    monkeypatch.setattr(
        samples, "corner", lambda path, side: opened.append(path) or Image.new("RGB", (8, 8))
    )
    (tmp_path / "samples").mkdir()
    for epoch in range(1, 201):
        sample_file(tmp_path / "samples", epoch).touch()
    animation(tmp_path, epochs=200).on_epoch_end(199)
    assert len(opened) == 60
    assert [opened[0].stem, opened[-1].stem] == ["epoch_0001", "epoch_0200"]


def test_other_files_among_the_samples_and_damaged_ones_are_left_out(tmp_path, caplog):
    folder = tmp_path / "samples"
    for epoch in range(1, 7):
        write_sample(folder, epoch)
    whole = sample_file(folder, 1).read_bytes()
    for name in ("epoch_best.png", "epoch_0001 (copy).png", "epoch_.png", "epoch_7.png.part"):
        (folder / name).write_bytes(whole)
    sample_file(folder, 2).write_bytes(b"")
    sample_file(folder, 3).write_bytes(whole[: len(whole) // 2])
    sample_file(folder, 4).write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n" + whole)
    sample_file(folder, 5).unlink()
    sample_file(folder, 5).mkdir()
    gif = animation(tmp_path, epochs=6)
    gif.on_epoch_end(5)
    gif.draw()
    assert size_and_frames(gif.path)[1] == 2  # the first and the sixth
    told = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert len(told) == 3  # each once; the folder is no grid
    for number, text in zip((2, 3, 4), told, strict=True):
        assert f"epoch_000{number}.png is left out of progress.gif" in text


def test_a_grid_of_endless_size_is_left_out(tmp_path):
    (tmp_path / "samples").mkdir()
    Image.new("1", (20_000, 20_000)).save(sample_file(tmp_path / "samples", 1))
    with pytest.raises(Exception, match="decompression bomb"):
        samples.corner(sample_file(tmp_path / "samples", 1), 300)
