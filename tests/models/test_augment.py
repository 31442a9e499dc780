"""Augmentation: each kind does what it says, to the pictures that its probability picks."""

import itertools

import numpy as np
import pytest
import tensorflow as tf
from tiny_gan import build, fit, tiny

from dcgan_tf.models import noise
from dcgan_tf.models.augment import KINDS, Augment, flip
from dcgan_tf.models.losses import Relativistic

COUNT = 64
PICTURES = np.random.RandomState(0).uniform(-1, 1, (COUNT, 16, 16, 3)).astype("float32")


def rng(images_seen=0):
    return noise.BatchRNG(5, tf.range(images_seen, images_seen + COUNT, dtype=tf.int64), COUNT)


def changed(*kinds, stream=noise.AUGMENT_REALS, images_seen=0, pictures=PICTURES, **named):
    return Augment(kinds, **named)(tf.constant(pictures), rng(images_seen), stream).numpy()


def test_flip_mirrors_half():
    for found in (changed("flip"), flip(tf.constant(PICTURES), rng()).numpy()):
        same = [(found[k] == PICTURES[k]).all() for k in range(COUNT)]
        mirrored = [(found[k] == PICTURES[k, :, ::-1]).all() for k in range(COUNT)]
        assert all(np.logical_xor(same, mirrored)) and 20 < sum(mirrored) < 44


def test_shift_moves_by_up_to_an_eighth_and_repeats_the_rim():
    moves = {by: np.clip(np.arange(16) + by, 0, 15) for by in range(-2, 3)}
    pairs, seen = list(itertools.product(moves, moves)), []
    for one, found in zip(PICTURES, changed("shift"), strict=True):
        fits = [(a, b) for a, b in pairs if (found == one[moves[a]][:, moves[b]]).all()]
        assert len(fits) == 1
        seen += fits
    assert {a for a, _ in seen} == {b for _, b in seen} == set(moves)


def test_colour_keeps_the_pattern_and_changes_level_saturation_and_contrast():
    grey = np.repeat(PICTURES[..., :1], 3, axis=3)  # which no saturation changes
    for one, found in zip(grey, changed("colour", pictures=grey), strict=True):
        slope, level = np.polyfit(one.ravel(), found.ravel(), 1)
        assert 0.5 <= slope <= 1.5 and abs(level - (1 - slope) * one.mean()) <= 1
        np.testing.assert_allclose(found, slope * one + level, atol=1e-4)


def test_cutout_fills_a_square_with_noise_in_the_range_of_the_pixels():
    shares = []
    for one, found in zip(PICTURES, changed("cutout"), strict=True):
        hole = (found != one).any(axis=2)
        rows, columns = hole.any(axis=1), hole.any(axis=0)
        assert (hole == rows[:, None] & columns).all() and max(rows.sum(), columns.sum()) <= 8
        shares.append(hole.mean())
        assert found.min() >= -1 and found.max() <= 1
        if hole.sum() > 30:
            assert found[hole].std() > 0.3  # not a black square
    assert max(shares) == 0.25


def test_the_probability_rises_and_none_means_none_and_a_stream_repeats_its_changes():
    assert (changed(*KINDS, probability=0.0) == PICTURES).all()
    assert (changed(*KINDS, ramp=64 * COUNT) == PICTURES).all()
    half = changed("cutout", ramp=64 * COUNT, images_seen=32 * COUNT)
    count = sum((half[k] != PICTURES[k]).any() for k in range(COUNT))
    assert 20 < count < 44
    one = changed(*KINDS)
    assert (one == changed(*KINDS)).all()
    assert (one != changed(*KINDS, stream=noise.AUGMENT_FAKES)).any()
    with pytest.raises(ValueError, match="rotate"):
        Augment(("rotate",))


def test_a_gradient_passes_through():
    pictures = tf.Variable(PICTURES)
    with tf.GradientTape() as tape:
        values = Augment(KINDS)(pictures, rng(), noise.AUGMENT_FAKES)
    gradient = tape.gradient(values, pictures).numpy()
    assert np.isfinite(gradient).all() and (gradient != 0).mean() > 0.5


@pytest.mark.slow
@pytest.mark.parametrize(("loss", "streams"), [(None, 2), (Relativistic(), 1)])
def test_a_loss_that_pairs_gives_the_real_and_the_fake_the_same_change(loss, streams):
    seen = set()

    class Spy(Augment):
        def __call__(self, pictures, rng, stream):
            seen.add(stream)
            return super().__call__(pictures, rng, stream)

    fit(build(tiny(), loss=loss, d_augment=Spy()))
    assert len(seen) == streams
