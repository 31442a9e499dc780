"""Which files open as a generator, and why others do not; nothing in a file is executed."""

import errno
import io
import json
import re
import zipfile

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers import refused
from keras import layers
from tiny_gan import build, fit, tiny

from dcgan_tf.common import limits
from dcgan_tf.common.errors import UserError
from dcgan_tf.models.ema import HalfLife
from dcgan_tf.models.gan import DCGAN
from dcgan_tf.models.loading import load_generator, load_network
from dcgan_tf.models.losses import NonSaturating
from dcgan_tf.models.networks import build_discriminator
from dcgan_tf.models.pixels import range_of, to_uint8
from dcgan_tf.models.sampling import Sampler, seed_latents, weights_sha256
from dcgan_tf.models.saving import save_network

SIGMOID, TANH = layers.Activation("sigmoid"), layers.Activation("tanh")


def chain(shape, *parts, **named):
    """The functional network of these layers, one after the other."""
    x = inputs = keras.Input(shape, **named)
    for layer in parts:
        x = layer(x)
    return keras.Model(inputs, x)


def network(*end):
    """A network from latents (n, 3) to (n, 4, 4, 3) and through the layers of `end`."""
    return chain((3,), layers.Dense(48), layers.Reshape((4, 4, 3)), *end)


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """The path of a small generator of another shape than ours."""
    path = tmp_path_factory.mktemp("run") / "generator.keras"
    network(TANH).save(path)
    return path


@pytest.mark.parametrize("name", ["sigmoid", "tanh"])
def test_range_is_found_wherever_the_activation_is_and_another_end_is_named(name):
    last = layers.Activation(name)
    for end in (
        [last],
        [layers.Conv2DTranspose(1, 2, activation=name)],
        [last, layers.Cropping2D(1), layers.Dropout(0.1)],
        [last, layers.Activation("linear")],
        [lambda x: getattr(keras.ops, name)(x)],
        [keras.Sequential([layers.Conv2D(3, 1, activation=name), layers.Identity()])],
    ):
        assert range_of(network(*end)) == name
    for end, words in (
        ([layers.Conv2D(3, 1, name="last")], "'last' (Conv2D, linear)"),
        ([last, layers.Rescaling(2.0)], "(Rescaling, rescaling)"),
        ([layers.ReLU()], "(ReLU, relu)"),
    ):
        with refused(words, "expected a sigmoid (0 to 1) or a tanh (-1 to 1)"):
            range_of(network(*end))


def two_inputs():
    a, b = keras.Input((3,)), keras.Input((3,))
    x = layers.Reshape((4, 4, 3))(layers.Dense(48, "tanh")(a + b))
    return keras.Model([a, b], x)


def of_integers():
    to_image = layers.Dense(48), layers.Reshape((4, 4, 3)), TANH
    return chain((3,), layers.Rescaling(1.0), *to_image, dtype="int32")


def with_nan():
    model = network(TANH)
    model.set_weights([w * np.nan for w in model.get_weights()])
    return model


def unbuilt():
    return keras.Sequential([layers.Dense(48, "tanh"), layers.Reshape((4, 4, 3))])


def any_length():
    return chain((None,), layers.Reshape((-1, 1, 1)), layers.Conv2D(3, 1, activation="tanh"))


@pytest.mark.filterwarnings("ignore:You are saving a model that has not yet been built")
@pytest.mark.parametrize(
    ("make", "words"),
    [
        (two_inputs, "has 2 inputs and 1 outputs"),
        (any_length, "takes (n, any)"),
        (lambda: chain(None, TANH, batch_shape=(4, 3)), "takes 4 latents at once"),
        (of_integers, "takes int32 and gives float32, not float"),
        (lambda: chain((8,), layers.Dense(5, "tanh")), "gives (n, 5)"),
        (lambda: network(layers.Conv2D(3, 1)), "the range of its pixels is unknown"),
        (lambda: network(layers.Conv2D(2, 1, activation="tanh")), "gives (n, 4, 4, 2)"),
        (with_nan, "NaN or infinite"),
        (unbuilt, "is not built"),
        (lambda: network(TANH, layers.UpSampling2D(1025)), "gives (n, 4100, 4100, 3)"),
        (lambda: build_discriminator(tiny()), "takes (n, 64, 64, 3); expected a generator"),
    ],
)
def test_what_is_missing_is_said(make, words, tmp_path):
    make().save(tmp_path / "g.keras")
    with refused(f"--model {tmp_path / 'g.keras'}: ", words):
        load_generator(tmp_path / "g.keras", "--model")


def tutorial():
    """The generator of TensorFlow's DCGAN tutorial, smaller."""
    head = layers.Dense(4 * 4 * 8, use_bias=False), layers.BatchNormalization(), layers.LeakyReLU()
    middle = layers.Conv2DTranspose(4, 5, padding="same", use_bias=False)
    last = layers.Conv2DTranspose(1, 5, 2, "same", use_bias=False, activation="tanh")
    model = keras.Sequential([keras.Input((5,))])
    for layer in (
        *(*head, layers.Reshape((4, 4, 8))),
        *(middle, layers.BatchNormalization(), layers.LeakyReLU(), last),
    ):
        model.add(layer)
    return model


def called():
    """A Sequential without an input, which its first call has built."""
    model = unbuilt()
    model(np.zeros((1, 5), np.float32))
    return model


def of_dicts():
    z = keras.Input((5,), name="z")
    image = layers.Reshape((4, 4, 3))(layers.Dense(48, "tanh")(z))
    return keras.Model({"z": z}, {"image": image})


def compiled():
    """Networks in a network, compiled with losses that this program alone knows."""

    def loss_of_ones_own(expected, made):
        return keras.ops.mean(made - expected)

    inner = keras.Sequential([layers.Dense(48), layers.Reshape((4, 4, 3))])
    last = keras.Sequential([layers.Conv2D(3, 1, activation="tanh")])
    model = chain((5,), inner, last, name="noise_of_another_name")
    for part in (inner, model):
        part.compile("adam", loss_of_ones_own)
    return model


def of_one_pixel():
    """As PyTorch's tutorial has it."""
    last = layers.Conv2DTranspose(3, 2, 2, activation="tanh")
    return chain((1, 1, 5), layers.Conv2DTranspose(8, 4), layers.ReLU(), last)


@pytest.mark.parametrize("make", [of_one_pixel, of_dicts, tutorial, called, compiled])
def test_a_generator_opens_however_keras_wrote_it_down(make, tmp_path):
    model = make()
    for weight in model.weights:  # the first values of most are 0 or 1
        weight.assign(np.random.RandomState(1).uniform(0.5, 1, weight.shape))
    model.save(tmp_path / "g.keras")
    latents = seed_latents(range(3), 5)
    given = latents.reshape((3, *model.inputs[0].shape[1:]))
    values = model({"z": given})["image"] if make is of_dicts else model.predict(given, verbose=0)
    expected = to_uint8(np.asarray(values), range_of(model))
    pictures = load_generator(tmp_path / "g.keras").generate(latents=latents)
    np.testing.assert_allclose(pictures.astype(int), expected, atol=1)
    assert expected.std() > 1


class OwnLoss(NonSaturating):
    """A loss that the program which loads the file does not know."""


@pytest.mark.slow
@pytest.mark.parametrize("ema", [None, HalfLife(4)])
def test_from_a_whole_dcgan_the_ema_is_taken_if_there_is_one(ema, tmp_path):
    model = build(tiny(), ema=ema, loss=OwnLoss())
    fit(model)
    model.save(tmp_path / "gan.keras")
    sampler = load_generator(tmp_path / "gan.keras")
    np.testing.assert_array_equal(sampler.generate(n=2), model.sampler.generate(n=2))
    assert sampler.sha256 == weights_sha256(model.inference_generator)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("save", ["save", "save_weights"])
def test_for_older_formats_the_conversion_is_named(save, tmp_path):
    getattr(network(SIGMOID), save)(tmp_path / "g.weights.h5")
    (tmp_path / "g.weights.h5").rename(tmp_path / "g.keras")
    with refused("expected a .keras file", "weights alone", '.save("NEW.keras")'):
        load_generator(tmp_path / "g.keras", "--model")


class Subclassed(keras.Model):
    """As in many tutorials; Keras knows no layers of it."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.dense = layers.Dense(48, "tanh")

    def call(self, z):
        return keras.ops.reshape(self.dense(z), (-1, 4, 4, 3))


def test_a_subclassed_generator_is_refused_by_name(tmp_path):
    model = Subclassed()
    model(np.zeros((1, 5), np.float32))
    model.save(tmp_path / "g.keras")
    with refused("--model", "needs 'Subclassed' of another program", "keras.Sequential"):
        load_generator(tmp_path / "g.keras", "--model")
    known = keras.saving.custom_object_scope({"Subclassed": Subclassed})
    with known, refused("is a subclassed model", "expected keras.Sequential or keras.Model("):
        load_generator(tmp_path / "g.keras", "--model")
    for made, words in ((model, "is a subclassed model"), (unbuilt(), "is not built")):
        with refused(words):
            DCGAN(made, build_discriminator(tiny()))


@pytest.mark.slow
def test_dcgan_trains_a_sequential_generator(tmp_path):
    generator = tutorial()
    shape = generator.output_shape[1:]
    discriminator = keras.Sequential([keras.Input(shape), layers.Flatten(), layers.Dense(1)])
    model = DCGAN(generator, discriminator, batch_size=4, ema=HalfLife(4))
    model.compile(keras.optimizers.SGD(0.1), keras.optimizers.SGD(0.1))
    before = generator.get_weights()
    pixels = np.random.RandomState(0).randint(0, 256, (8, *shape), np.uint8)
    model.fit(tf.data.Dataset.from_tensor_slices(pixels).batch(4), verbose=0)
    assert any((a != b).any() for a, b in zip(before, generator.get_weights(), strict=True))
    images = model.sampler.generate(n=2)
    assert images.shape == (2, *shape)
    model.save(tmp_path / "gan.keras")
    np.testing.assert_array_equal(load_generator(tmp_path / "gan.keras").generate(n=2), images)


def test_lambdas_are_never_executed(tmp_path):
    path, trap = tmp_path / "g.keras", tmp_path / "executed"
    function = eval(f"lambda x: (open({str(trap)!r}, 'w').close(), x)[1]")
    network(layers.Lambda(function), TANH).save(path)
    trap.unlink(missing_ok=True)  # building it here executed it
    with pytest.raises(UserError, match="Lambda"):
        load_generator(path, "--model")
    assert not trap.exists()


def changed(good, path, **contents):
    """A copy of a `.keras` file with other contents: `config` and `weights`."""
    names = {"config": "config.json", "weights": "model.weights.h5"}
    with zipfile.ZipFile(good) as old, zipfile.ZipFile(path, "w") as new:
        files = {name: old.read(name) for name in old.namelist()}
        for name, content in (files | {names[n]: c for n, c in contents.items()}).items():
            new.writestr(name, content)
    return path


@pytest.mark.filterwarnings("ignore:Skipping nested container")
def test_weights_in_another_file_and_weights_that_are_none_are_refused(good, tmp_path):
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file["layers"] = h5py.ExternalLink("/etc/passwd", "/")
    for weights in (buffer.getvalue(), b"rubbish " * 1000):
        with refused("not a Keras model file"):
            load_network(changed(good, tmp_path / "g.keras", weights=weights), "--model")


def test_another_kind_of_file_is_named(tmp_path):
    for content, kind in (
        (b"\x1c\0\0\0TFL3\x14\0 \0", "a LiteRT (TensorFlow Lite) file"),
        (b"\x08\x0a\x12\x08dcgan_tf", "an ONNX file"),
        (b"\n <!DOCTYPE html><html>", "a web page"),
        (b"hello, caf\xc3\xa9\n" * 200, "a text file"),
        (b"\x80\x02}q\0.", "a pickle"),
        (b"", "an empty file"),
    ):
        (tmp_path / "g.keras").write_bytes(content)
        with refused("--model", f"g.keras: expected a .keras file, got {kind}"):
            load_network(tmp_path / "g.keras", "--model")


def test_a_generator_from_its_run_makes_the_same_images_however_seeds_are_given(good):
    sampler = load_generator(good.parent)
    assert (sampler.latent_dim, sampler.picture_shape) == (3, (4, 4, 3))
    images = sampler.generate(range(40))
    assert images.shape == (40, 4, 4, 3) and images.dtype == np.uint8
    values = np.asarray(sampler.model(seed_latents([39], 3)))
    np.testing.assert_array_equal(images[39:], np.rint((values + 1) * 127.5))
    for given in ({"seeds": [39]}, {"latents": seed_latents([39], 3)}):
        np.testing.assert_array_equal(sampler.generate(**given), images[39:])
    assert sampler.generate([]).shape == (0, 4, 4, 3)
    for seeds in (4, np.int64(4), range(4), np.arange(4), iter([0, 1, 2, 3])):
        np.testing.assert_array_equal(sampler.generate(seeds), images[:4])
    half = sampler.generate(latents=seed_latents(range(2), 3) / 2)
    np.testing.assert_array_equal(sampler.generate(n=2, truncation=0.5), half)


@pytest.mark.parametrize(
    ("given", "got"),
    [
        ({}, "expected exactly one of n, seeds and latents"),
        ({"n": 2, "seeds": [1]}, "expected exactly one of n, seeds and latents"),
        ({"latents": np.zeros((1, 4))}, "got latents (1, 4), expected (n, 3)"),
        ({"latents": np.full((1, 3), 1e39)}, "got values that are NaN, infinite or beyond"),
        ({"latents": np.zeros((1, 3), "datetime64[s]")}, "got datetime64[s], expected real"),
        ({"n": 2, "truncation": float("nan")}, "got values that are NaN"),
        ({"seeds": [3, 2**40]}, "seeds: got 1099511627776, expected whole numbers from 0 to 42949"),
        ({"seeds": [1.5]}, "seeds: got 1.5, expected whole"),
        ({"seeds": "0-3"}, "seeds: got '0-3', expected whole"),
        ({"n": -1}, "n: got -1, expected a number of images, 0 or more, or seeds"),
    ],
)
def test_wrong_latents_and_seeds_are_named(given, got, good):
    with pytest.raises(ValueError, match=f"^{re.escape(got)}"):
        load_generator(good).generate(**given)


def test_what_is_no_path_is_refused_and_pixels_that_are_nan_are_an_error():
    for path in (None, 5, b"x"):
        with refused(f"got {path!r}, expected the path of a run"):
            load_generator(path)
    model = network(layers.Rescaling(1e30), layers.Rescaling(1e30), layers.Rescaling(0.0), SIGMOID)
    with refused("NaN or infinite pixels"):
        Sampler(model, strict=True).generate(range(2))


class Failing(io.FileIO):
    """A file on a disk that fails while it is read."""

    def read(self, count=-1):
        raise OSError(errno.ESTALE, "Stale file handle")


def test_a_disk_that_fails_is_not_a_damaged_file(good, monkeypatch):
    opened = open

    def failing(path, mode="r", *args, **named):
        bad = mode == "rb" and str(path).endswith(".keras")
        return Failing(path) if bad else opened(path, mode, *args, **named)

    monkeypatch.setattr("builtins.open", failing)
    with pytest.raises(OSError) as caught:
        save_network(network(SIGMOID), good.with_name("new.keras"))
    assert caught.value.errno == errno.ESTALE and "new.keras" in caught.value.filename
    with pytest.raises(OSError) as caught:
        load_generator(good, "--model")
    assert caught.value.errno == errno.ESTALE and caught.value.filename == str(good)


def test_a_network_for_which_the_memory_is_too_small_is_refused(good, tmp_path, monkeypatch):
    with zipfile.ZipFile(good) as archive:
        config = archive.read("config.json").replace(b'"units": 48', b'"units": 48000000000')
    end = json.loads(config)
    for layer in end["config"]["layers"]:
        if layer["class_name"] == "Reshape":
            layer["config"]["target_shape"] = [40000, 400000, 3]
    with refused("parameters, but"):
        load_network(changed(good, tmp_path / "giant.keras", config=json.dumps(end)))
    # The largest map, which is in a network in a network here.
    parts = [layers.Dense(48), layers.Reshape((4, 4, 3)), layers.UpSampling2D(64), SIGMOID]
    inner = keras.Sequential([*parts, layers.AveragePooling2D(64)])
    keras.Sequential([keras.Input((5,)), inner]).save(tmp_path / "g.keras")
    monkeypatch.setattr(limits, "memory", lambda: 8 * 32 * (4 * 64) ** 2 * 3 - 1)
    with refused("needs about 50.3 MB of memory for 32 images"):
        load_network(tmp_path / "g.keras", "--model")
