"""What a batch holds is a function of its number alone, on any number of devices."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from dcgan_tf.data.pipeline import batches, epoch_order, read_batch, steps_per_epoch
from dcgan_tf.models.batches import check_dataset

COUNT, BATCH, STEPS = 26, 6, 4  # a rest of 2 pictures an epoch


def pictures(count=COUNT, channels=3):
    """Pictures that hold their own number."""
    numbers = np.arange(count, dtype=np.uint8).reshape(-1, 1, 1, 1)
    return np.broadcast_to(numbers, (count, 2, 2, channels))


def taken(count, **options):
    """The first elements of a dataset as [(picture numbers, sample indices)]."""
    options = {"batch_size": BATCH, "seed": 0} | options
    elements = batches(pictures(), **options).take(count).as_numpy_iterator()
    return [(e["image"][:, 0, 0, 0].tolist(), e["index"].tolist()) for e in elements]


def numbers(elements):
    return list(itertools.chain.from_iterable(element[0] for element in elements))


def test_an_epoch_visits_a_picture_at_most_once_and_drops_only_the_rest():
    assert steps_per_epoch(COUNT, BATCH) == STEPS
    for epoch in range(3):
        seen = numbers(taken(STEPS, first_step=epoch * STEPS))
        assert len(seen) == len(set(seen)) == STEPS * BATCH
        assert set(seen) <= set(range(COUNT))


def test_epochs_differ_and_leave_out_others():
    epochs = [numbers(taken(STEPS, first_step=epoch * STEPS)) for epoch in range(6)]
    assert len(set(map(tuple, epochs))) == 6
    assert set().union(*epochs) == set(range(COUNT))


def test_the_order_is_numpys_frozen_permutation_of_seed_and_epoch():
    assert epoch_order(10, 0, 0).tolist() == [3, 7, 6, 4, 1, 0, 2, 8, 5, 9]
    assert epoch_order(10, 0, 1).tolist() == [9, 4, 0, 8, 1, 5, 3, 2, 6, 7]
    assert epoch_order(10, 7, 3).tolist() == [7, 4, 1, 6, 8, 3, 5, 2, 9, 0]
    assert numbers(taken(1)) == epoch_order(COUNT, 0, 0)[:BATCH].tolist()


def test_tensorflow_tunes_and_shares_out_nothing():
    """Its tuning thread can outlive the iterator, and the program then does not end."""
    options = check_dataset(batches(pictures(), batch_size=BATCH, seed=0), BATCH).options()
    assert options.autotune.enabled is False
    off = tf.data.experimental.AutoShardPolicy.OFF
    assert options.experimental_distribute.auto_shard_policy == off


def test_another_seed_is_another_order():
    assert numbers(taken(STEPS, seed=1)) != numbers(taken(STEPS, seed=2))


@pytest.mark.parametrize("first_step", [1, STEPS - 1, STEPS, 7])
def test_going_on_gives_exactly_the_batches_that_would_have_come(first_step):
    assert taken(5, first_step=first_step) == taken(first_step + 5)[first_step:]


def test_sample_indices_count_on_over_all_epochs():
    indices = [index for _, index in taken(2 * STEPS, first_step=3)]
    start = 3 * BATCH
    assert np.ravel(indices).tolist() == list(range(start, start + 2 * STEPS * BATCH))


@pytest.mark.parametrize("shards", [2, 3])
def test_shards_in_order_are_the_whole_batch(shards):
    parts = taken(5 * shards, first_step=2, shards=shards)
    assert all(len(part[0]) == BATCH // shards for part in parts)
    for step, whole in enumerate(taken(5, first_step=2)):
        own = parts[step * shards : (step + 1) * shards]
        assert (numbers(own), [number for part in own for number in part[1]]) == whole


def test_two_workers_with_two_devices_each_share_the_batch_of_one():
    first, second = (
        taken(10, batch_size=8, shards=4, own=range(2 * worker, 2 * worker + 2))
        for worker in range(2)
    )
    for step, whole in enumerate(taken(5, batch_size=8)):
        own = first[2 * step : 2 * step + 2] + second[2 * step : 2 * step + 2]
        assert (numbers(own), [number for part in own for number in part[1]]) == whole


@pytest.mark.parametrize(("channels", "shards"), [(3, 1), (1, 2)])
def test_batches_are_uint8_of_a_static_shape(channels, shards):
    dataset = batches(pictures(channels=channels), batch_size=BATCH, seed=0, shards=shards)
    part = BATCH // shards
    assert dataset.element_spec == {
        "image": tf.TensorSpec((part, 2, 2, channels), tf.uint8),
        "index": tf.TensorSpec((part,), tf.int64),
    }


def test_the_dataset_is_never_split_behind_our_back():
    policy = batches(pictures(), batch_size=BATCH, seed=0).options().experimental_distribute
    assert policy.auto_shard_policy == tf.data.experimental.AutoShardPolicy.OFF


def test_read_batch_of_a_mapped_file(tmp_path):
    (tmp_path / "pixels.u8").write_bytes(pictures().tobytes())
    mapped = np.memmap(tmp_path / "pixels.u8", np.uint8, "r", shape=(COUNT, 2, 2, 3))
    for step in (0, STEPS, 5 * STEPS + 1):
        image, index = read_batch(mapped, step, batch_size=BATCH, seed=0)
        expected, same = read_batch(pictures(), step, batch_size=BATCH, seed=0)
        np.testing.assert_array_equal(image, expected)
        np.testing.assert_array_equal(index, same)
