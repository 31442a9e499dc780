"""The step is the textbook's step, its noise has no state, and BatchNorm learns."""

import tempfile

import keras
import numpy as np
import pytest
import tensorflow as tf
from tiny_gan import BATCH, PIXELS, build, fit, tiny

from dcgan_tf.data.pipeline import batches
from dcgan_tf.models import noise
from dcgan_tf.models.losses import NonSaturating, move_targets
from dcgan_tf.models.networks import build_discriminator, build_generator
from dcgan_tf.models.parts import precision_of
from dcgan_tf.models.pixels import to_float


def largest_difference(one, other):
    pairs = zip(one.trainable_variables, other.trainable_variables, strict=True)
    return max(np.abs(np.asarray(a) - np.asarray(b)).max() for a, b in pairs)


def textbook_steps(config, steps, smoothing=0.0, fresh=False):
    """The same training, written the plain way: whole passes, one tape a network, BCE on
    probabilities."""
    generator, discriminator = build_generator(config), build_discriminator(config)
    g_sgd, d_sgd = keras.optimizers.SGD(0.05), keras.optimizers.SGD(0.1)

    def bce(target, logits):
        p = tf.sigmoid(logits)
        return -tf.reduce_mean(target * tf.math.log(p) + (1 - target) * tf.math.log(1 - p))

    for batch in batches(PIXELS, batch_size=BATCH, seed=0).take(steps):
        rng = noise.BatchRNG(5, batch["index"], BATCH)
        latents = rng.normal(noise.LATENTS, config.latent_dim, "float64")
        reals = to_float(tf.cast(batch["image"], tf.float64), config.output_activation)
        with tf.GradientTape() as tape:
            real = bce(1 - smoothing, discriminator(reals, training=True))
            fakes = generator(latents, training=True)
            loss = (real + bce(0.0, discriminator(fakes, training=True))) / 2
        weights = discriminator.trainable_variables
        d_sgd.apply_gradients(zip(tape.gradient(loss, weights), weights, strict=True))
        if fresh:
            latents = rng.normal(noise.FRESH_LATENTS, config.latent_dim, "float64")
        with tf.GradientTape() as tape:
            fakes = generator(latents, training=True)
            loss = bce(1.0, discriminator(fakes, training=True))
        weights = generator.trainable_variables
        g_sgd.apply_gradients(zip(tape.gradient(loss, weights), weights, strict=True))
    return generator, discriminator


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "options"),
    [("celeba", {"smoothing": 0.1, "fresh": True}), ("radford", {})],
)
def test_step_equals_the_textbook_in_float64(name, options):
    config = tiny(name, precision="float64")
    with precision_of(config):
        expected = textbook_steps(config, 3, **options)
        loss = NonSaturating(options.get("smoothing", 0))
        model = build(config, seed=5, loss=loss, fresh_fakes="fresh" in options)
        fit(model, 3)
    for ours, theirs in zip((model.generator, model.discriminator), expected, strict=True):
        assert largest_difference(ours, theirs) < 1e-12


@pytest.mark.slow
def test_fit_reports_the_four_means_and_moves_every_weight(monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    model = build(tiny(), keras.optimizers.Adam)
    before = [np.asarray(w) for w in model.weights]
    history = fit(model)
    # AutoGraph writes what it makes of a function into a file, which stays where it is killed.
    assert not list(tmp_path.glob("__autograph*"))
    assert {"d_loss", "g_loss", "d_real", "d_fake"} <= history.keys()
    assert 0 < history["d_real"][0] < 1 and 0 < history["d_fake"][0] < 1
    still = [w.path for a, w in zip(before, model.weights, strict=True) if (a == w.numpy()).all()]
    # Also the moving statistics of BatchNorm move; the biases before it, which it takes away, not.
    kinds = ("up1", "up2", "down1", "down2")
    assert sorted(still) == sorted(f"{kind}/bias" for kind in kinds)


def latents(seed=1, stream=noise.LATENTS, index=range(16, 24), batch_size=BATCH, length=5):
    rng = noise.BatchRNG(seed, tf.constant(index, tf.int64), batch_size)
    return rng.normal(stream, length).numpy()


def test_latents_depend_on_seed_step_and_sample_alone():
    whole = latents()  # step 2 of batches of 8
    parts = [latents(index=range(i, i + 2)) for i in (16, 18, 20, 22)]
    np.testing.assert_array_equal(whole, np.concatenate(parts))
    for other in (latents(seed=2), latents(stream=noise.FLIPS), latents(index=range(24, 32))):
        assert not np.isclose(whole, other).any()
    large = latents(index=range(4096), batch_size=4096, length=8)
    assert abs(large.mean()) < 0.02 and abs(large.std() - 1) < 0.02
    assert abs((large**4).mean() - 3) < 0.2, "a normal distribution has 3"
    assert abs(np.corrcoef(large, rowvar=False) - np.eye(8)).max() < 0.06
    assert abs(np.corrcoef(large**2, rowvar=False) - np.eye(8)).max() < 0.06


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_xla_draws_the_same_numbers(dtype):
    def draw():
        rng = noise.BatchRNG(3, tf.range(24, 32, dtype=tf.int64), BATCH)
        return rng.normal(noise.LATENTS, 5, dtype), rng.uniform(noise.FLIPS, 1000, dtype)

    plain, compiled = tf.function(draw)(), tf.function(draw, jit_compile=True)()
    for ours, theirs in zip(plain, compiled, strict=True):
        assert ours.dtype == theirs.dtype == dtype
        ours, theirs = (tf.cast(x, tf.float64).numpy() for x in (ours, theirs))
        np.testing.assert_allclose(ours, theirs, atol=2e-2 if "16" in dtype else 1e-6)
    uniform = tf.cast(plain[1], tf.float64).numpy()
    assert 0 <= uniform.min() < 0.01 and 0.99 < uniform.max() < 1, "the end belongs to no interval"
    assert abs(uniform.mean() - 0.5) < 0.01 and abs(uniform.var() - 1 / 12) < 0.005


def test_targets_stay_between_0_and_1():
    rng, logits = noise.BatchRNG(0, tf.range(8, dtype=tf.int64), 8), tf.zeros((8, 1))
    for start, by in ((0.5, -0.5), (0.2, -0.5), (0.0, 0.5)):
        targets = move_targets(logits, start, by, rng, noise.REAL_TARGETS).numpy()
        low, high = max(min(start, start + by), 0), max(start, start + by)
        assert low <= targets.min() and targets.max() <= high and len(np.unique(targets)) > 3
    assert (move_targets(logits, 0.9, 0, rng, 0).numpy() == np.float32(0.9)).all()
