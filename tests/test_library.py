"""What others import: `fit` on any pictures, plain logs, Keras' callbacks, saving, loading."""

import csv
import math
import os
import re
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers import REPO, face_jpeg, write_files
from programs import run_program
from tiny_gan import BATCH, PIXELS, build, tiny

import dcgan_tf
from dcgan_tf.data.pipeline import batches
from dcgan_tf.models import noise
from dcgan_tf.models.sampling import weights_sha256

KEYS = ["d_loss", "g_loss", "d_real", "d_fake"]


def plain(count=16):
    """uint8 pictures in batches, as a user has them."""
    return tf.data.Dataset.from_tensor_slices(PIXELS[:count]).batch(BATCH, drop_remainder=True)


def weights_after(data, steps=4, **kwargs):
    model = build(tiny(), keras.optimizers.Adam)
    model.fit(data, verbose=0, **({"steps_per_epoch": steps} | kwargs))
    return weights_sha256(model.generator), model


def test_import_alone_starts_no_tensorflow_and_lists_what_there_is():
    code = (
        "import sys, dcgan_tf; assert 'DCGAN' in dir(dcgan_tf); dcgan_tf.Config; "
        "sys.exit('tensorflow' in sys.modules or 'numpy' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=REPO).returncode == 0


def test_every_exported_name_is_there():
    for name in dcgan_tf.__all__:
        assert getattr(dcgan_tf, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'Generator'"):
        dcgan_tf.Generator  # noqa: B018


@pytest.mark.slow
def test_history_and_logs_are_plain_numbers():
    seen = []

    class Look(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            seen.append({name: float(value) for name, value in logs.items()})

    model = build(tiny())
    history = model.fit(plain(), epochs=2, verbose=0, callbacks=[Look()]).history
    assert sorted(history) == sorted(KEYS) and all(len(values) == 2 for values in history.values())
    assert all(type(value) is float for values in history.values() for value in values)
    assert [sorted(logs) for logs in seen] == [sorted(KEYS)] * 4
    assert seen[-1] == pytest.approx({name: values[-1] for name, values in history.items()})


@pytest.mark.slow
def test_keras_own_callbacks_work(tmp_path):
    best = tmp_path / "best.keras"
    own = [
        keras.callbacks.CSVLogger(tmp_path / "log.csv"),
        keras.callbacks.TensorBoard(tmp_path / "events", update_freq=1),
        keras.callbacks.ModelCheckpoint(best, monitor="g_loss", mode="min", save_best_only=True),
        keras.callbacks.EarlyStopping(monitor="g_loss", mode="min", patience=0, min_delta=1e9),
        keras.callbacks.TerminateOnNaN(),
    ]
    history = build(tiny()).fit(plain(), epochs=5, verbose=0, callbacks=own).history
    assert len(history["g_loss"]) == 2  # stopped early
    with (tmp_path / "log.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["g_loss"]) for row in rows] == pytest.approx(history["g_loss"])
    assert list(tmp_path.glob("events/train/events*"))
    assert isinstance(keras.saving.load_model(best), dcgan_tf.DCGAN)


@pytest.mark.slow
def test_a_saved_model_goes_on_as_if_it_had_not_been_saved(tmp_path):
    whole, _ = weights_after(plain(8), epochs=4, steps=1)
    _, model = weights_after(plain(8), epochs=2, steps=1)
    model.save(tmp_path / "gan.keras")
    loaded = keras.saving.load_model(tmp_path / "gan.keras")
    assert (loaded.batch_size, loaded.seed) == (BATCH, 0)
    loaded.fit(plain(8), epochs=2, steps_per_epoch=1, verbose=0)
    assert weights_sha256(loaded.generator) == whole


@pytest.mark.slow
def test_pictures_alone_draw_what_numbered_ones_draw():
    steps = 2
    numbered = batches(PIXELS[:16], batch_size=BATCH, seed=0)
    alone = numbered.map(lambda batch: batch["image"])
    labelled = numbered.map(lambda batch: (batch["image"], batch["index"]))
    assert len({weights_after(data, steps)[0] for data in (numbered, alone, labelled)}) == 1


@pytest.mark.slow
def test_each_epoch_of_plain_pictures_draws_other_latents():
    model, drawn = build(tiny()), []
    count = model._count
    model._count = lambda own: drawn.append(count(own)) or drawn[-1]
    model.compile(keras.optimizers.SGD(0.1), keras.optimizers.SGD(0.1), run_eagerly=True)
    model.fit(plain(), epochs=2, verbose=0)
    assert np.array_equal(np.concatenate(drawn), np.arange(4 * BATCH))


def shuffled(batch):
    return {"image": batch["image"], "index": tf.reverse(batch["index"], [0])}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("data", "words"),
    [
        (lambda: PIXELS, "are ndarray, expected a tf.data.Dataset; .*from_tensor_slices"),
        (lambda: plain().map(lambda x: tf.cast(x, tf.float32)), "float32, expected uint8"),
        (lambda: plain().unbatch().batch(4), "batch_size is 8"),
        (lambda: plain().unbatch().batch(4, drop_remainder=True), "a batch has 4 pictures"),
        (lambda: batches(PIXELS, batch_size=BATCH, seed=0).map(shuffled), "shuffle the pictures"),
        (lambda: plain().map(lambda x: {"image": x}), 'expected "image" and int64 "index"'),
        (lambda: plain().map(lambda x: x[..., 0]), "expected pictures"),
    ],
)
def test_data_that_would_draw_wrong_noise_are_refused(data, words):
    with pytest.raises(ValueError, match=words) as caught:
        build(tiny()).fit(data(), steps_per_epoch=2, verbose=0)
    assert "\n" not in str(caught.value)


class LeastSquares:
    """A user's own loss (Mao et al. 2017)."""

    def discriminator(self, real_logits, fake_logits, draws):
        return tf.reduce_mean((real_logits - 1) ** 2 + fake_logits**2) / 2

    def generator(self, fake_logits):
        return tf.reduce_mean((fake_logits - 1) ** 2)


@pytest.mark.slow
def test_a_loss_an_augmentation_and_a_penalty_of_ones_own():
    seen = []

    def darker(pictures, draws):
        return pictures * draws.uniform(noise.FLIPS, 1)[..., None, None]

    def r1(real_slopes, fake_slopes, draws):
        seen.append(fake_slopes.shape)
        return tf.reduce_mean(tf.reduce_sum(real_slopes**2, [1, 2, 3]))

    def losses(**kwargs):
        model = build(tiny(), **kwargs)
        model.fit(plain(8), verbose=0)
        return model.history.history["d_loss"][0]

    own = losses(loss=LeastSquares())
    assert math.isfinite(own) and own != losses()
    assert losses(loss=LeastSquares(), penalty=r1) > own and seen
    assert losses(loss=LeastSquares(), augment=darker) != own


@pytest.mark.slow
def test_two_devices_count_plain_pictures_as_one_does():
    code = f"""
import sys
sys.path[:0] = [{str(REPO)!r}, {str(REPO / "tests")!r}]
import keras, numpy as np, tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
keras.config.set_floatx("float64")
from dcgan_tf import DCGAN, build_discriminator, build_generator
from tiny_gan import PIXELS, tiny

def trained(strategy):
    with strategy.scope():
        networks = (build(tiny(), True) for build in (build_generator, build_discriminator))
        model = DCGAN(*networks, batch_size=8)
        model.compile(keras.optimizers.SGD(0.05), keras.optimizers.SGD(0.1))
    data = tf.data.Dataset.from_tensor_slices(PIXELS[:16]).batch(8, drop_remainder=True)
    history = model.fit(data, epochs=2, verbose=0).history
    assert all(type(v) is float for values in history.values() for v in values), history
    return model.generator.get_weights()

one = trained(tf.distribute.get_strategy())
two = trained(tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]))
worst = max(np.abs(a - b).max() for a, b in zip(one, two, strict=True))
assert worst < 1e-9, worst
try:
    with tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]).scope():
        DCGAN(*(build(tiny(), True) for build in (build_generator, build_discriminator)),
              batch_size=7).fit(tf.data.Dataset.from_tensor_slices(PIXELS[:14]).batch(7))
except ValueError as error:
    assert "cannot be shared equally by 2 devices" in str(error), error
else:
    raise AssertionError("a batch of 7 was shared by 2 devices")
"""
    done = run_program(("-c", code), REPO)
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.slow
def test_the_example_of_the_readme_runs(here):
    """As it stands there, on three epochs of drawn faces and a tenth of the width."""
    readme = (REPO / "README.md").read_text(encoding="utf-8")
    example = next(
        code
        for code in re.findall(r"```python\n(.*?)```", readme, re.S)
        if "images_dataset" in code
    )
    assert len(example.strip().splitlines()) <= 15
    write_files(here / "pictures", {f"{i}.jpg": face_jpeg(i) for i in range(32)})
    code = example.replace("width=0.25", "width=0.05")
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=here,
        env=os.environ | {"PYTHONPATH": str(REPO)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.strip().endswith("(4, 64, 64, 3)")
    assert len(list((here / "samples").glob("epoch_*.png"))) == 3
    assert (here / "losses.png").stat().st_size > 5000
    loaded = keras.saving.load_model(here / "gan.keras")
    assert int(loaded.g_optimizer.iterations) == 3
