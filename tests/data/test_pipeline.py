"""What a batch holds is a function of its number alone, on any number of devices."""

import itertools

import numpy as np
import pytest
import tensorflow as tf
from helpers import face_jpeg, write_files, write_zip

from dcgan_tf.common.errors import UserError
from dcgan_tf.data.pipeline import batches, epoch_order, images_dataset
from dcgan_tf.models.batches import check_dataset

COUNT, BATCH, STEPS = 26, 6, 4  # a rest of 2 images an epoch


def pictures(count=COUNT, channels=3):
    """Images that hold their own number."""
    numbers = np.arange(count, dtype=np.uint8).reshape(-1, 1, 1, 1)
    return np.broadcast_to(numbers, (count, 2, 2, channels))


def taken(count, **options):
    """The first elements of a dataset as [(image numbers, sample indices)]."""
    options = {"batch_size": BATCH, "seed": 0} | options
    elements = batches(pictures(), **options).take(count).as_numpy_iterator()
    return [(e["image"][:, 0, 0, 0].tolist(), e["index"].tolist()) for e in elements]


def numbers(elements):
    return list(itertools.chain.from_iterable(element[0] for element in elements))


def test_an_epoch_visits_an_image_at_most_once_in_numpys_frozen_permutation_of_seed_and_epoch():
    epochs = [numbers(taken(STEPS, first_step=epoch * STEPS)) for epoch in range(6)]
    assert all(len(seen) == len(set(seen)) == STEPS * BATCH for seen in epochs)
    assert len(set(map(tuple, epochs))) == 6
    assert set().union(*epochs) == set(range(COUNT))  # epochs leave out others
    assert numbers(taken(STEPS, seed=1)) != epochs[0]
    assert epochs[1] == epoch_order(COUNT, 0, 1)[: STEPS * BATCH].tolist()
    assert epoch_order(10, 0, 1).tolist() == [9, 4, 0, 8, 1, 5, 3, 2, 6, 7]
    assert epoch_order(10, 7, 3).tolist() == [7, 4, 1, 6, 8, 3, 5, 2, 9, 0]


def test_batches_are_uint8_of_a_static_shape_and_tensorflow_tunes_and_shares_out_nothing():
    """Its tuning thread can outlive the iterator, and the program then does not end."""
    dataset = batches(pictures(channels=1), batch_size=BATCH, seed=0, shards=2)
    assert dataset.element_spec == {
        "image": tf.TensorSpec((3, 2, 2, 1), tf.uint8),
        "index": tf.TensorSpec((3,), tf.int64),
    }
    options = check_dataset(dataset, (3, 2, 2, 1)).options()
    assert options.autotune.enabled is False
    off = tf.data.experimental.AutoShardPolicy.OFF
    assert options.experimental_distribute.auto_shard_policy == off


@pytest.mark.parametrize("first_step", [1, STEPS - 1, STEPS, 7])
def test_a_resume_yields_exactly_the_batches_that_would_have_come(first_step):
    whole = taken(first_step + 5)
    assert taken(5, first_step=first_step) == whole[first_step:]
    indices = np.ravel([index for _, index in whole])
    assert indices.tolist() == list(range(len(indices)))  # over all epochs


def test_two_workers_with_two_devices_each_share_the_batch_of_one():
    first, second = (
        taken(10, batch_size=8, first_step=3, shards=4, own=range(2 * worker, 2 * worker + 2))
        for worker in range(2)
    )
    for step, whole in enumerate(taken(5, batch_size=8, first_step=3)):
        own = first[2 * step : 2 * step + 2] + second[2 * step : 2 * step + 2]
        assert (numbers(own), [number for part in own for number in part[1]]) == whole


# images_dataset

FILES = {f"{i}.jpg": face_jpeg(i) for i in range(7)}


def epoch(dataset):
    """(images, indices) of one epoch, batch by batch."""
    batches = list(dataset.as_numpy_iterator())
    return np.stack([b["image"] for b in batches]), np.stack([b["index"] for b in batches])


def test_each_iteration_is_the_next_epoch_and_it_resumes_exactly(here):
    data = images_dataset(write_files(here / "own", FILES), 16, 3, seed=5)
    assert len(data) == 2 and data.element_spec["image"].shape == (3, 16, 16, 3)
    (first, numbers), (second, more) = epoch(data), epoch(data)
    np.testing.assert_array_equal(numbers.ravel(), range(6))
    np.testing.assert_array_equal(more.ravel(), range(6, 12))
    assert first.dtype == np.uint8 and (first != second).any()
    archive = write_zip(here / "own.zip", FILES)  # yields the same
    later = images_dataset(str(archive), 16, 3, seed=5, first_epoch=1, packs=here / "packs")
    np.testing.assert_array_equal(epoch(later)[0], second)
    endless = images_dataset(archive, 16, 3, seed=5, packs=here / "packs").repeat()
    np.testing.assert_array_equal(epoch(endless.take(4))[0], np.concatenate([first, second]))
    gray = images_dataset(archive, 8, 2, channels=1, crop="30,55,150,175", subset=4)
    assert len(gray) == 2 and epoch(gray)[0].shape == (2, 2, 8, 8, 1)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"batch_size": 8}, "batch_size 8: larger than the data, 7 images; use 7"),
        ({"image_size": -1}, "expected a whole number"),
        ({"channels": 2}, "expected one of 1, 3"),
        ({"crop": "1,2"}, "left < right"),
        ({"subset": 9}, "^subset 9: .* 7 images"),
        ({"packs": 5}, "expected"),
        ({"flips": True}, "unknown 'flips'"),
    ],
)
def test_wrong_values_are_refused_by_parameter_and_in_a_command_by_flag(options, words, here):
    write_files(here / "own", FILES)
    with pytest.raises((UserError, TypeError), match=words):
        images_dataset("own", **{"image_size": 16, "batch_size": 2, **options})
    with pytest.raises(ValueError, match="^data nowhere: no such file") as caught:
        images_dataset("nowhere")
    assert caught.value.for_command().startswith("--data nowhere: ")
