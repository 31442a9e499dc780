"""What others import: `fit` on any images, plain logs, Keras' callbacks, saving, loading."""

import csv
import dataclasses
import doctest
import math
import re
import subprocess
import sys
from importlib import import_module

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers import REPO, face_jpeg, refused, write_files
from programs import run_program
from tiny_gan import BATCH, PIXELS, build, tiny

import dcgan_tf
from dcgan_tf import DCGAN, Config, UserError, build_discriminator, build_generator
from dcgan_tf.common.runs import Run
from dcgan_tf.data import places
from dcgan_tf.data.pipeline import batches
from dcgan_tf.models import noise
from dcgan_tf.models.augment import flip
from dcgan_tf.models.sampling import weights_sha256
from dcgan_tf.train.callbacks.control import diverged
from dcgan_tf.train.command import parse_training

KEYS = ["d_loss", "g_loss", "d_real", "d_fake"]


def plain(count=16, drop_remainder=True):
    """uint8 images in batches, as a user has them."""
    return tf.data.Dataset.from_tensor_slices(PIXELS[:count]).batch(BATCH, drop_remainder)


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
    with pytest.raises(AttributeError, match="no attribute 'Generator'"):
        dcgan_tf.Generator  # noqa: B018


@pytest.mark.slow
@pytest.mark.parametrize("name", dcgan_tf.__all__)
def test_every_exported_name_is_there_with_an_example_that_runs(name, here):
    exported = getattr(dcgan_tf, name)
    if name == "train":  # the package, which can be called
        exported = import_module("dcgan_tf.train.library").train
    assert exported.__name__.split(".")[-1] == name
    write_files(here / "images", {f"{i}.jpg": face_jpeg(i) for i in range(16)})
    found = doctest.DocTestParser().get_doctest(exported.__doc__, {}, name, None, None)
    said = []
    result = doctest.DocTestRunner(verbose=False).run(found, out=said.append)
    assert result.attempted and not result.failed, "".join(said)


@pytest.mark.slow
def test_keras_own_callbacks_work(tmp_path):
    best = tmp_path / "best.keras"
    history = (
        build(tiny())
        .fit(
            plain(),
            epochs=5,
            verbose=0,
            callbacks=[
                keras.callbacks.CSVLogger(tmp_path / "log.csv"),
                keras.callbacks.TensorBoard(tmp_path / "events", update_freq=1),
                keras.callbacks.ModelCheckpoint(best, "g_loss", mode="min", save_best_only=True),
                keras.callbacks.EarlyStopping("g_loss", mode="min", patience=0, min_delta=1e9),
                keras.callbacks.TerminateOnNaN(),
            ],
        )
        .history
    )
    assert len(history["g_loss"]) == 2  # stopped early
    assert set(KEYS) <= history.keys()
    assert all(type(value) is float for values in history.values() for value in values)
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
def test_images_alone_draw_what_numbered_ones_draw():
    steps = {"steps": 1, "epochs": 2}  # an epoch does not begin with the first latents anew
    numbered = batches(PIXELS[:16], batch_size=BATCH, seed=0)
    alone = numbered.map(lambda batch: batch["image"])
    labelled = numbered.map(lambda batch: (batch["image"], batch["index"]))
    assert len({weights_after(data, **steps)[0] for data in (numbered, alone, labelled)}) == 1


def shuffled(batch):
    return {"image": batch["image"], "index": tf.reverse(batch["index"], [0])}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("data", "words"),
    [
        (lambda: PIXELS, "are ndarray, expected a tf.data.Dataset; .*from_tensor_slices"),
        (lambda: plain().map(lambda x: tf.cast(x, tf.float32)), r"expected uint8 .*\* 255"),
        (lambda: plain().unbatch().batch(4), "another shape .a short last one.., expected .8, 64"),
        (lambda: plain().map(lambda x: x[:, :32]), "a batch is .8, 32, 64, 3., expected .8, 64"),
        (lambda: batches(PIXELS, batch_size=BATCH, seed=0).map(shuffled), "shuffle the images"),
        (lambda: plain().map(lambda x: {"image": x}), 'expected "image" and int64 "index"'),
        (lambda: plain(5), "fewer images than a batch of 8"),
        (lambda: plain(5).filter(lambda images: True), "fewer images than a batch of 8"),
    ],
)
@pytest.mark.filterwarnings("ignore:Your input ran out")
def test_data_that_would_draw_wrong_noise_or_too_few_are_refused(data, words):
    steps = None if "fewer" in words else 2
    with pytest.raises(ValueError, match=words) as caught:
        build(tiny()).fit(data(), steps_per_epoch=steps, epochs=2, verbose=0)
    assert "\n" not in str(caught.value) and "Condition" not in str(caught.value)


class LeastSquares:
    """A user's own loss (Mao et al. 2017)."""

    def discriminator(self, real_logits, fake_logits, rng):
        return tf.reduce_mean((real_logits - 1) ** 2 + fake_logits**2) / 2

    def generator(self, fake_logits):
        return tf.reduce_mean((fake_logits - 1) ** 2)


@pytest.mark.slow
def test_a_loss_an_augmentation_and_a_penalty_of_ones_own():
    def darker(images, rng):
        return images * rng.uniform(noise.FLIPS, 1)[..., None, None]

    def r1(real_slopes, fake_slopes, rng):
        return tf.reduce_mean(tf.reduce_sum(real_slopes**2, [1, 2, 3]))

    def losses(**kwargs):
        model = build(tiny(), **kwargs)
        model.fit(plain(8), verbose=0)
        return model.history.history["d_loss"][0]

    own = losses(loss=LeastSquares())
    assert math.isfinite(own) and own != losses()
    assert losses(loss=LeastSquares(), penalty=r1) > own
    assert losses(loss=LeastSquares(), augment=darker) != own


def test_the_documented_loss_is_saved_with_the_model_and_one_without_a_config_is_named(tmp_path):
    text = (REPO / "docs/library.md").read_text(encoding="utf-8")
    code = re.findall(r"```python\n(.*?)```", text, re.DOTALL)[1]
    names = {"DCGAN": DCGAN, "config": tiny()}
    exec(code, names)
    names["model"].save(tmp_path / "own.keras")
    loaded = keras.saving.load_model(tmp_path / "own.keras")
    assert type(loaded.loss_terms).__name__ == "LeastSquares"
    with refused("loss: LeastSquares cannot be saved with the model", "docs/library.md"):
        DCGAN.from_config(tiny(), loss=LeastSquares()).save(tmp_path / "no.keras")


def test_how_a_model_was_compiled_is_saved_and_one_that_was_not_can_be(tmp_path):
    model = DCGAN.from_config(tiny())
    model.compile("adam", "adam", steps_per_execution=4, jit_compile=False)
    model.save(tmp_path / "a.keras")
    loaded = keras.saving.load_model(tmp_path / "a.keras")
    assert (loaded.steps_per_execution, loaded.jit_compile) == (4, False)
    plain = keras.saving.load_model(tmp_path / "a.keras", compile=False)
    plain.save(tmp_path / "b.keras")
    assert not keras.saving.load_model(tmp_path / "b.keras").compiled


def test_accumulated_gradients_are_of_different_images():
    seen = []

    def look(images, rng):
        seen.append(int(rng.images_seen))
        return images

    model = DCGAN.from_config(tiny(batch_size=BATCH), augment=look)
    adams = [keras.optimizers.Adam(gradient_accumulation_steps=2) for _ in range(2)]
    model.compile(*adams, run_eagerly=True)
    for _ in range(3):
        model.train_on_batch(PIXELS[:BATCH])
    assert seen == [0, BATCH, 2 * BATCH]


def test_what_replaces_a_setting_replaces_what_depends_on_it():
    config = tiny(lr_decay="linear", decay_images=1000, r1=1.0, d_norm="none", augment="shift")
    config = dataclasses.replace(config, output_activation="sigmoid")
    tanh = DCGAN.from_config(tiny(output_activation="tanh", d_norm="none"))
    own = {"generator": tanh.generator, "discriminator": tanh.discriminator}
    model = DCGAN.from_config(config, batch_size=2 * BATCH, **own)
    assert model.penalty.activation == model.d_augment.activation == "tanh"
    expected = DCGAN.from_config(dataclasses.replace(config, batch_size=2 * BATCH))
    rates = [m.g_optimizer.get_config()["learning_rate"] for m in (model, expected)]
    assert rates[0] == rates[1] and model.batch_size == 2 * BATCH


class Vector(LeastSquares):
    def discriminator(self, real_logits, fake_logits, rng):
        return (real_logits - 1) ** 2 + fake_logits**2


class PairOfVectors(LeastSquares):
    def mean_probabilities(self, real_logits, fake_logits):
        return real_logits, fake_logits


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"loss": LeastSquares}, "loss: give LeastSquares(), not the class"),
        ({"loss": "hinge"}, "loss: got str, expected an object with the methods discriminator"),
        ({"loss": Vector()}, "Vector.discriminator returned shape (8, 1), expected a scalar: use"),
        ({"loss": PairOfVectors()}, "PairOfVectors.mean_probabilities returned shape (8, 1)"),
        ({"penalty": lambda *_: None}, "function.__call__ returned None, expected a scalar"),
    ],
)
def test_a_loss_of_another_kind_or_that_returns_no_scalar_is_named(given, words):
    with refused(words):
        build(tiny(), **given).fit(plain(8), verbose=0)


SETTINGS = {"loss": "hinge", "flip": True, "augment": "shift", "average": "half_life", "seed": 7}
SETTINGS |= {"batch_size": 8, "r1": 1.0, "d_norm": "none", "width": 0.05, "fresh_fakes": True}


@pytest.mark.slow
def test_a_model_from_a_config_has_all_of_it():
    config = Config(**SETTINGS, g_learning_rate=3e-4, d_learning_rate=2e-4, beta_1=0.3)
    model = DCGAN.from_config(config)
    assert type(model.loss_terms) is dcgan_tf.Hinge and model.penalty.r1 == 1.0
    assert model.augment is flip and model.d_augment.kinds == ("shift",)
    assert model.ema.images == 4000 and model.ema_generator is not None and model.fresh_fakes
    assert (model.batch_size, model.seed) == (8, 7)
    rates = [float(each.learning_rate) for each in (model.g_optimizer, model.d_optimizer)]
    assert rates == pytest.approx([3e-4, 2e-4]) and model.g_optimizer.beta_1 == 0.3
    assert math.isfinite(model.fit(plain(), verbose=0).history["d_loss"][0])
    own = DCGAN.from_config(config, loss=LeastSquares(), penalty=None)
    assert type(own.loss_terms) is LeastSquares and own.penalty is None
    half = DCGAN.from_config(dataclasses.replace(config, precision="mixed_bfloat16"))
    assert half.generator.layers[1].compute_dtype == "bfloat16"
    assert keras.config.dtype_policy().name == "float32", "only while it is built"
    with pytest.raises(ValueError, match="init_from: "):
        DCGAN.from_config(Config(init_from="pretrained:faces"))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"image_size": 100}, "image_size: base_size 8 x 2.3 = 64, but image_size is 100"),
        ({"loss": "foo"}, "loss: got 'foo', expected one of non_saturating"),
        ({"batch_size": 8.5}, "batch_size: got 8.5, expected a whole number"),
        ({"r1": 1.0}, "d_norm batch: r1 and r2 penalize"),
        ({"loss": "hinge", "label_noise": 0.1}, "loss hinge: has no targets"),
        ({"lr_decay": "linear"}, "decay_images: got 0"),
        ({"augment": "flip,rotate"}, "augment: got 'flip,rotate', expected some of flip"),
    ],
)
def test_a_config_refuses_what_the_command_line_refuses(settings, words):
    for make in (Config, lambda **s: dataclasses.replace(Config(), **s)):
        with pytest.raises(ValueError, match=words):
            make(**settings)
    with pytest.raises(UserError) as caught:
        parse_training([f"--{n.replace('_', '-')}={v}" for n, v in settings.items()])
    assert caught.value.for_command().startswith("--")


def test_a_config_takes_lists_and_paths_and_the_numbers_of_numpy(tmp_path):
    config = Config(g_channels=[8, 8, 8], data=tmp_path, dataset="folder")
    assert config.g_channels == (8, 8, 8) and config.data == str(tmp_path)
    assert config.crop == "center" and Config().crop == "30,55,150,175"
    size, rate = np.int64(8), np.float32(0.5)
    config = Config(batch_size=size, beta_1=rate, g_channels=list(np.array([8, 8, 8])))
    assert config == Config(batch_size=8, beta_1=0.5, g_channels=(8, 8, 8))
    kinds = [type(v) for v in (config.batch_size, config.beta_1, config.g_channels[0])]
    assert kinds == [int, float, int]
    with pytest.raises(UserError, match="batch_size: got "):
        Config(batch_size=np.float64(8))


def test_advice_names_settings_and_on_the_command_line_flags(here):
    error = diverged("the losses became NaN", Run("x"), 1)
    assert "try a smaller g_learning_rate and d_learning_rate in" in str(error)
    assert "try a smaller --g-learning-rate and --d-learning-rate in" in error.for_command()
    for dataset, words in (("folder", "needs a folder or zip"), ("celeba", "kaggle or tfds")):
        with pytest.raises(UserError, match=f"^data: .*{words}") as caught:
            places.find(Config(dataset=dataset))
        assert caught.value.for_command().startswith("--data: ")
        assert "--data" not in str(caught.value)


def network(shape, *added):
    return keras.Sequential([keras.Input(shape), *added])


def logit():
    return keras.layers.Flatten(), keras.layers.Dense(1)


def test_networks_that_do_not_fit_are_refused_when_a_model_is_made():
    generator, discriminator = build_generator(tiny()), build_discriminator(tiny())
    for other, words in (
        (network((32, 32, 3), *logit()), r"makes \(64, 64, 3\) and .* takes \(32, 32, 3\)"),
        (network((64, 64, 3), keras.layers.Flatten()), r"gives \(None, 12288\), expected a logit"),
        (network((64, 64, 3), *logit(), keras.layers.Activation("sigmoid", name="end")), "'end'"),
    ):
        with pytest.raises(ValueError, match=words):
            DCGAN(generator, other)
    DCGAN(generator, discriminator)


def test_a_d_without_weights_yet_and_regularizers_are_refused():
    generator = network((8,), keras.layers.Dense(192), keras.layers.Reshape((8, 8, 3)))
    unbuilt = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(1)])
    with refused("the discriminator is not built", "keras.Input(image shape), or call it once"):
        DCGAN(generator, unbuilt)
    for kind in ("kernel_regularizer", "activity_regularizer"):
        dense = keras.layers.Dense(1, **{kind: "l2"})
        with refused("has regularizers, whose losses are not added here"):
            DCGAN(generator, network((8, 8, 3), keras.layers.Flatten(), dense))


def test_optimizers_by_name_and_of_their_own():
    model = build(tiny())
    model.compile("adam", "sgd")
    kinds = [type(each).__name__ for each in (model.g_optimizer, model.d_optimizer)]
    assert kinds == ["Adam", "SGD"]
    assert math.isfinite(model.fit(plain(8), verbose=0).history["g_loss"][0])
    adam = keras.optimizers.Adam()
    with pytest.raises(ValueError, match="an optimizer of its own"):
        model.compile(adam, adam)


@pytest.mark.slow
def test_keras_callbacks_find_the_rates_of_both_networks():
    model = build(tiny(), keras.optimizers.Adam)  # 0.05 and 0.1
    halve = keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate / 2)
    history = model.fit(plain(8), epochs=2, verbose=0, callbacks=[halve]).history
    assert history["learning_rate_generator"] == pytest.approx([0.025, 0.0125])
    assert history["learning_rate_discriminator"] == pytest.approx([0.05, 0.025])
    reduce = keras.callbacks.ReduceLROnPlateau("g_loss", factor=0.1, patience=1, min_delta=1e9)
    stop = keras.callbacks.EarlyStopping("g_loss", patience=2, min_delta=1e9)
    history = model.fit(plain(8), epochs=9, verbose=0, callbacks=[reduce, stop]).history
    assert len(history["g_loss"]) == 3
    assert float(model.d_optimizer.learning_rate) < 0.025 / 9
    model.summary(print_fn=lambda *_, **__: None)


@pytest.mark.slow
def test_one_step_on_a_batch_is_one_step_of_fit():
    fitted, stepped = build(tiny()), build(tiny())
    fitted.fit(plain(16), verbose=0)
    for batch in (PIXELS[:8], PIXELS[8:16]):
        logs = stepped.train_on_batch(batch, return_dict=True)
    assert sorted(logs) == sorted(KEYS)
    assert weights_sha256(stepped.generator) == weights_sha256(fitted.generator)
    with pytest.raises(ValueError, match="a batch is .4, 64, 64, 3."):
        stepped.train_on_batch(PIXELS[:4])


def test_what_a_gan_has_not_and_what_is_no_callback_is_refused_in_one_line():
    model = build(tiny())
    for call in (
        lambda: model.evaluate(plain()),
        lambda: model.fit(plain(), validation_data=plain(), verbose=0),
    ):
        with pytest.raises(ValueError, match="no loss on other images; score"):
            call()
    for callbacks in (object(), [keras.callbacks.Callback]):
        with refused("callbacks: got ", "expected objects of keras"):
            model.fit(plain(8), verbose=0, callbacks=callbacks)


TWO_DEVICES = f"""
import sys
sys.path[:0] = [{str(REPO)!r}, {str(REPO / "tests" / "support")!r}]
import keras, numpy as np, tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
keras.config.set_floatx("float64")
from dcgan_tf import DCGAN, build_discriminator, build_generator
from tiny_gan import PIXELS, tiny

def train(strategy, count=16, batch=8):
    with strategy.scope():
        networks = (build(tiny(), True) for build in (build_generator, build_discriminator))
        model = DCGAN(*networks, batch_size=batch)
        model.compile(keras.optimizers.SGD(0.05), keras.optimizers.SGD(0.1))
    data = tf.data.Dataset.from_tensor_slices(PIXELS[:count]).batch(batch)
    history = model.fit(data, epochs=2, verbose=0).history
    assert all(type(v) is float for values in history.values() for v in values), history
    return model.generator.get_weights()

both = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
one, two = train(tf.distribute.get_strategy()), train(both)
worst = max(np.abs(a - b).max() for a, b in zip(one, two, strict=True))
assert worst < 1e-9, worst
try:
    train(both, 14, 7)
except ValueError as error:
    assert "cannot be shared equally by 2 devices" in str(error), error
else:
    raise AssertionError("a batch of 7 was shared by 2 devices")
"""


@pytest.mark.slow
def test_two_devices_count_plain_images_as_one_does():
    done = run_program(("-c", TWO_DEVICES), REPO)
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.slow
def test_the_example_of_the_readme_runs(here):
    """As it stands there, on three epochs of drawn faces and a tenth of the width."""
    readme = (REPO / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", readme, re.S)
    example = next(code for code in blocks if "images_dataset" in code)
    assert len(example.strip().splitlines()) <= 15
    write_files(here / "images", {f"{i}.jpg": face_jpeg(i) for i in range(32)})
    code = example.replace("width=0.25", "width=0.05")
    done = run_program(("-c", code), here, {"PYTHONPATH": str(REPO)})
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.strip().endswith("(4, 64, 64, 3)")
    assert len(list((here / "samples").glob("epoch_*.png"))) == 3
    assert (here / "losses.png").stat().st_size > 5000
    loaded = keras.saving.load_model(here / "gan.keras")
    assert int(loaded.g_optimizer.iterations) == 3
