"""uint8 to a network's range and back without a loss; grids, PNG and GIF as files."""

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from dcgan_tf.common.animations import FRAMES, save_animation
from dcgan_tf.common.images import default_scale, enlarge, grid, save_png
from dcgan_tf.models.pixels import to_float, to_uint8

LEVELS = np.arange(256, dtype=np.uint8)
RANGES = {"sigmoid": (0.0, 1.0), "tanh": (-1.0, 1.0)}


@pytest.mark.parametrize("activation", RANGES)
def test_all_256_levels_come_back_others_are_clipped_or_rounded(activation):
    low, high = RANGES[activation]
    for levels in (np.float32(LEVELS), np.float64(LEVELS), tf.cast(LEVELS, tf.float32)):
        values = np.asarray(to_float(levels, activation))
        assert values.dtype == levels.dtype
        assert (values[0], values[-1]) == (low, high)
        np.testing.assert_array_equal(to_uint8(values, activation), LEVELS)
    values = [low - 9, low - 1e-3, low, high, high + 1e-3, high + 9]
    assert to_uint8(values, activation).tolist() == [0, 0, 0, 255, 255, 255]
    step = (high - low) / 255
    near = [low + 0.4 * step, low + 0.6 * step, high - 0.4 * step, high - 0.6 * step]
    assert to_uint8(near, activation).tolist() == [0, 1, 255, 254]


def numbered(count, height=3, width=4, channels=3):
    return np.stack([np.full((height, width, channels), i + 1, np.uint8) for i in range(count)])


def test_grid_fills_rows_from_the_left_on_white():
    canvas = grid(numbered(5), columns=3, gap=2)
    assert canvas.shape == (3 + 2 + 3, 4 * 3 + 2 * 2, 3) and canvas.dtype == np.uint8
    row, gap, empty = canvas[0, :, 0], canvas[3:5], canvas[5:, 12:]
    assert row.tolist() == [1] * 4 + [255] * 2 + [2] * 4 + [255] * 2 + [3] * 4
    assert (gap == 255).all() and (empty == 255).all()
    assert (canvas[5:, :4] == 4).all() and (canvas[5:, 6:10] == 5).all()


def test_grids_are_square_and_small_ones_are_enlarged_until_they_can_be_seen():
    for count, rows, columns in ((1, 1, 1), (5, 2, 3), (64, 8, 8)):
        assert grid(numbered(count, 3, 3), gap=0).shape == (3 * rows, 3 * columns, 3)
    image = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    large = enlarge(image, 4)
    assert large.shape == (8, 12, 3) and large.dtype == np.uint8
    for place in range(16):
        np.testing.assert_array_equal(large[place // 4 :: 4, place % 4 :: 4], image)
    # A grid of 16 digits; of 64 digits, CIFAR pictures and faces; one face.
    scales = [default_scale(width) for width in (118, 238, 270, 526, 64, 500, 499)]
    assert scales == [5, 3, 2, 1, 8, 1, 2]


@pytest.mark.parametrize("channels", [1, 3])
def test_png_keeps_pixels_and_text(channels, tmp_path):
    image = np.arange(5 * 4 * channels, dtype=np.uint8).reshape(5, 4, channels)
    save_png(tmp_path / "a.png", image, {"seed": 17, "model_sha256": "ab"})
    with Image.open(tmp_path / "a.png") as read:
        assert read.mode == ("L" if channels == 1 else "RGB")
        assert read.text == {"seed": "17", "model_sha256": "ab"}
        np.testing.assert_array_equal(np.asarray(read).reshape(image.shape), image)
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def bars(count, width, mode="RGB"):
    """Pictures that are white up to column 1, 2, ... count, so that each can be told in a GIF."""
    for number in range(1, count + 1):
        pixels = np.zeros((2, width, 3), np.uint8)
        pixels[:, :number] = 255
        yield Image.fromarray(pixels).convert(mode)


def read_gif(path):
    with Image.open(path) as gif:
        assert gif.info["loop"] == 0
        for index in range(gif.n_frames):
            gif.seek(index)
            white = np.asarray(gif.convert("L"))[0] > 127
            yield int(white.sum()), gif.info["duration"]


@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_gif_shows_every_frame_and_holds_the_last(mode, tmp_path):
    save_animation(tmp_path / "a.gif", list(bars(3, 8, mode)), milliseconds=200, hold=900)
    assert list(read_gif(tmp_path / "a.gif")) == [(1, 200), (2, 200), (3, 900)]


def test_gif_keeps_the_colors_of_its_last_frame_and_an_even_choice_of_many(tmp_path):
    last = Image.new("RGB", (8, 8), (200, 30, 90))
    save_animation(tmp_path / "a.gif", [Image.new("RGB", (8, 8), (0, 200, 0)), last])
    with Image.open(tmp_path / "a.gif") as gif:
        gif.seek(gif.n_frames - 1)
        np.testing.assert_allclose(np.asarray(gif.convert("RGB")), np.asarray(last), atol=4)
    ramps = [np.zeros((16, 256, 3), np.uint8) for _ in range(2)]
    ramps[0][..., 0] = np.arange(256)
    ramps[1][:] = np.arange(256)[None, :, None]
    save_animation(tmp_path / "b.gif", [Image.fromarray(ramp) for ramp in ramps])
    with Image.open(tmp_path / "b.gif") as gif:  # red, then gray: each has its colors
        for number, ramp in enumerate(ramps):
            gif.seek(number)
            error = np.abs(np.asarray(gif.convert("RGB"), int) - ramp).mean()
            assert error < 5, (number, error)
    save_animation(tmp_path / "a.gif", list(bars(250, 256)))
    numbers = [number for number, _ in read_gif(tmp_path / "a.gif")]
    assert len(numbers) == FRAMES["gif"] and (numbers[0], numbers[-1]) == (1, 250)
    step = 249 // (FRAMES["gif"] - 1)
    assert set(np.diff(numbers)) <= {step, step + 1}
