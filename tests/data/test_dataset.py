"""images_dataset: a folder as tf.data, epoch by epoch, exact from any epoch on."""

import numpy as np
import pytest
from helpers import face_jpeg, write_files, write_zip

from dcgan_tf.common.errors import UserError
from dcgan_tf.data.pipeline import images_dataset

FILES = {f"{i}.jpg": face_jpeg(i) for i in range(7)}


def epoch(dataset):
    """(images, indices) of one epoch, batch by batch."""
    batches = list(dataset.as_numpy_iterator())
    return np.stack([b["image"] for b in batches]), np.stack([b["index"] for b in batches])


def test_each_iteration_is_the_next_epoch(here):
    data = images_dataset(write_files(here / "own", FILES), 16, 3)
    assert len(data) == 2
    assert data.element_spec["image"].shape == (3, 16, 16, 3)
    (first, numbers), (second, more) = epoch(data), epoch(data)
    np.testing.assert_array_equal(numbers.ravel(), range(6))
    np.testing.assert_array_equal(more.ravel(), range(6, 12))
    assert first.dtype == np.uint8 and (first != second).any()


def test_it_goes_on_exactly_and_a_zip_gives_the_same(here):
    whole = images_dataset(write_files(here / "own", FILES), 16, 3, seed=5)
    first, second = epoch(whole), epoch(whole)
    archive = write_zip(here / "own.zip", FILES)
    later = images_dataset(str(archive), 16, 3, seed=5, first_epoch=1, packs=here / "packs")
    np.testing.assert_array_equal(epoch(later)[0], second[0])
    endless = images_dataset(archive, 16, 3, seed=5, packs=here / "packs").repeat()
    four = epoch(endless.take(4))
    np.testing.assert_array_equal(four[0], np.concatenate([first[0], second[0]]))


def test_grey_and_cropped(here):
    folder = write_files(here / "own", FILES)
    data = images_dataset(folder, 8, 2, channels=1, crop="30,55,150,175", subset=4)
    assert len(data) == 2 and epoch(data)[0].shape == (2, 2, 8, 8, 1)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"batch_size": 8}, "batch_size 8: larger than the data, 7 images; use 7"),
        ({"image_size": -1}, "expected a whole number"),
        ({"channels": 2}, "expected one of 1, 3"),
        ({"crop": "1,2"}, "left < right"),
        ({"subset": 9}, "^subset 9: .* 7 images"),
        ({"packs": 5}, "expected"),
    ],
)
def test_wrong_values_are_refused(options, words, here):
    write_files(here / "own", FILES)
    with pytest.raises((UserError, TypeError), match=words):
        images_dataset("own", **{"image_size": 16, "batch_size": 2, **options})


def test_unknown_settings_are_refused(here):
    with pytest.raises(TypeError, match="unknown 'flips'"):
        images_dataset("own", flips=True)


def test_an_error_names_the_parameter_and_for_a_command_its_flag(here):
    with pytest.raises(ValueError, match="^data nowhere: no such file") as caught:
        images_dataset("nowhere")
    assert caught.value.for_command().startswith("--data nowhere: ")
