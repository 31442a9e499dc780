"""The labels of a DCGAN: logits of D, the end of G's latents, kept in its files."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers import refused
from tiny_gan import BATCH, PIXELS, tiny

from dcgan_tf.common.labels import Labels
from dcgan_tf.data.pipeline import batches
from dcgan_tf.models import noise
from dcgan_tf.models.gan import DCGAN, draw_wrong_labels
from dcgan_tf.models.loading import load_generator
from dcgan_tf.models.networks import build_discriminator, build_generator

ROWS = np.eye(2, dtype=np.uint8)[np.arange(len(PIXELS)) % 2]
LABELS = Labels.of(["dark", "light"], True, ROWS)


def build(labels=LABELS, **changes):
    return DCGAN.from_config(tiny(labels="class", batch_size=BATCH, **changes), labels=labels)


def test_a_whole_model_keeps_its_labels_and_what_it_draws(tmp_path):
    model = build(average="half_life")
    data = batches(PIXELS, batch_size=BATCH, seed=0, labels=ROWS)
    assert np.isfinite(model.fit(data, steps_per_epoch=2, verbose=0).history["g_loss"][0])
    model.save(tmp_path / "whole.keras")
    again = keras.saving.load_model(tmp_path / "whole.keras")
    assert again.labels == LABELS
    drawn = model.sampler.generate(seeds=[3], label="light")
    for sampler in (again.sampler, load_generator(tmp_path / "whole.keras")):
        assert sampler.labels == LABELS
        assert (sampler.generate(seeds=[3], label="light") == drawn).all()


def test_truncation_leaves_the_label_as_it_is():
    sampler = build().sampler
    latents = sampler.factor(0.5) * sampler.latents([7], "light")
    assert (latents[0, -2:] == [0, 1]).all()
    assert (latents[0, :-2] == 0.5 * sampler.latents([7], "dark")[0, :-2]).all()
    same = sampler.generate(latents=latents)
    assert (sampler.generate(seeds=[7], label="light", truncation=0.5) == same).all()
    with pytest.raises(ValueError, match="expected label or latents"):
        sampler.generate(latents=latents, label="light")


def test_d_learns_from_real_images_with_their_labels_and_with_wrong_ones():
    model, seen, logits = build(), [], []
    model.compile("sgd", "sgd", run_eagerly=True)
    whole = model._add_labels

    def add_labels(outputs, labels):
        seen.append(labels)
        logits.append(whole(outputs, labels))
        return logits[-1]

    model._add_labels = add_labels
    batch = next(iter(batches(PIXELS, batch_size=BATCH, seed=0, labels=ROWS)))
    losses = model.train_on_batch(batch, return_dict=True)
    reals, fakes, wrong, again = map(np.asarray, seen)
    for labels in (reals, fakes, again):  # G gets those of the real images
        assert np.array_equal(labels, batch["label"])
    assert np.array_equal(wrong, 1 - reals)  # of two classes the other one
    by_fakes, by_wrong = (
        model.loss_terms.discriminator(logits[0], logits[k], None) for k in (1, 2)
    )
    expected = (by_fakes + by_wrong / 4) / 1.25
    assert losses["d_loss"] == pytest.approx(float(expected), abs=1e-6)
    assert abs(by_fakes - by_wrong) > 1e-4  # else the weight could be any


def test_the_logits_of_an_images_labels_are_added():
    model = build()
    images = tf.random.stateless_normal((3, 64, 64, 3), (0, 0))
    rows = np.array([[0, 1], [1, 1], [0, 0]], np.float32)
    outputs = model.discriminator(images, training=True).numpy()
    assert outputs.shape == (3, 3) and np.ptp(outputs[:, 1:]) > 0
    expected = outputs[:, 0] + (rows * outputs[:, 1:]).sum(axis=1)
    found = model._compute_logits(images, rows).numpy()
    assert np.allclose(found[:, 0], expected, atol=1e-6)


@pytest.mark.parametrize("classes", [True, False])
def test_wrong_labels_are_drawn_anew_in_each_step(classes):
    names, rows = list("abcd"), np.eye(4, dtype=np.uint8)[[0, 1, 2, 3] * 4]
    if not classes:
        rows = np.tile([1, 0, 0, 1], (16, 1)).astype(np.uint8)
    labels = Labels.of(names, classes, rows)
    given, found = tf.constant(rows, tf.float32), []
    for step in range(20):
        rng = noise.BatchRNG(0, tf.range(16, dtype=tf.int64) + 16 * step, 16)
        found.append(draw_wrong_labels(labels, given, rng).numpy())
        half = noise.BatchRNG(0, tf.range(8, 16, dtype=tf.int64) + 16 * step, 16)  # a device's
        assert np.array_equal(draw_wrong_labels(labels, given[8:], half), found[-1][8:])
    changed = np.abs(np.array(found) - rows)
    assert (changed.sum(axis=2) == 1 + classes).all()
    assert (np.array(found).sum(axis=2) == 1).all() or not classes
    assert (changed.mean(axis=0) > 0.05).any(axis=0).all()  # each name in its turn
    assert (changed[1:] != changed[:-1]).any()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (lambda: batches(PIXELS, batch_size=BATCH, seed=0), 'and "label"'),
        (lambda: tf.data.Dataset.from_tensors(PIXELS[:BATCH]), "numbers of shape (8, 2)"),
        (lambda: batches(PIXELS, batch_size=BATCH, seed=0, labels=ROWS[:, :1]), "shape (8, 2)"),
    ],
)
def test_batches_without_these_labels_are_refused(data, words):
    with pytest.raises(ValueError) as refusal:
        build().fit(data(), steps_per_epoch=1, verbose=0)
    assert words in str(refusal.value)


def test_a_model_needs_the_labels_of_its_config():
    with refused("labels", "got 'class' without the labels"):
        build(labels=None)
    config = tiny()
    with refused("a logit and one for each of 2 labels, (None, 3)"):
        DCGAN(build_generator(config, labels=LABELS), build_discriminator(config))


def test_latents_need_room_for_more_than_the_labels():
    images = keras.Input((64, 64, 3))
    d = keras.Model(images, keras.layers.Dense(3)(keras.layers.Flatten()(images)))
    for length in (1, 2):
        latents = keras.Input((length,))
        x = keras.layers.Reshape((64, 64, 3))(keras.layers.Dense(64 * 64 * 3, "tanh")(latents))
        for discriminator in (d, subclassed()):
            g = keras.Model(latents, x)
            g.labels = LABELS
            with refused(f"latents of {length}", "2 labels at their end"):
                DCGAN(g, discriminator)


class Subclassed(keras.Model):
    def call(self, images):
        return tf.reduce_mean(images, (1, 2, 3))[:, None]


def subclassed():
    discriminator = Subclassed()
    discriminator(np.zeros((1, 64, 64, 3), np.float32))
    return discriminator


@pytest.mark.parametrize("kind", ["subclassed", "half precision"])
def test_a_d_of_ones_own_has_its_logits_counted_and_may_compute_in_half_precision(kind):
    images = keras.Input((64, 64, 3))
    outputs = keras.layers.Dense(3, dtype="mixed_bfloat16")(keras.layers.Flatten()(images))
    d = subclassed() if kind == "subclassed" else keras.Model(images, outputs)
    model = DCGAN(build_generator(tiny(), labels=LABELS), d, batch_size=BATCH)
    model.compile("adam", "adam")
    batch = next(iter(batches(PIXELS, batch_size=BATCH, seed=0, labels=ROWS)))
    if kind == "subclassed":
        with refused(
            f"gives ({BATCH}, 1), expected a logit and one for each of 2 labels, (None, 3)"
        ):
            model.train_on_batch(batch)
    else:
        assert np.isfinite(model.train_on_batch(batch)).all()
