"""A generator as ONNX: the same pictures, whole or not at all, in silence."""

import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers import refused
from tiny_gan import tiny

from dcgan_tf.models.networks import build_generator
from dcgan_tf.models.onnx_file import to_onnx
from dcgan_tf.models.sampling import seed_latents

PACKAGES = ("tf2onnx", "onnx", "onnxruntime")


@pytest.fixture
def packages():
    for name in PACKAGES:
        pytest.importorskip(name, reason='pip install ".[onnx]" brings it')


def run(path, latents):
    """float32: the pictures that the file's network makes, and the session they came from."""
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(["pictures"], {"latents": latents})[0], session


@pytest.mark.usefixtures("packages")
@pytest.mark.parametrize("name", ["radford", "mnist"])
def test_the_pictures_are_those_of_keras(name, tmp_path, capfd):
    generator = build_generator(tiny(name))  # never called before
    latents = seed_latents(range(5), generator.input_shape[1])
    path = tmp_path / "generator.onnx"
    capfd.readouterr()  # what TensorFlow says when it makes the first variable
    to_onnx(generator, path)
    assert capfd.readouterr() == ("", "")
    assert [file.name for file in tmp_path.iterdir()] == ["generator.onnx"]
    for count in (1, 5):
        pictures, session = run(path, latents[:count])
        expected = np.asarray(generator(latents[:count], training=False))
        assert pictures.shape == expected.shape and pictures.dtype == np.float32
        np.testing.assert_allclose(pictures, expected, atol=1e-5)
    assert [end.shape[0] for end in (*session.get_inputs(), *session.get_outputs())] == ["n", "n"]


@pytest.mark.usefixtures("packages")
def test_what_onnx_has_no_words_for_is_refused(tmp_path):
    latents = keras.Input((16,))
    strange = keras.layers.Lambda(lambda x: tf.math.igamma(x, x), output_shape=(16,))(latents)
    with refused("cannot be written as ONNX"):
        to_onnx(keras.Model(latents, strange), tmp_path / "generator.onnx")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("missing", PACKAGES[:2])
def test_a_missing_package_is_named(missing, tmp_path, monkeypatch):
    for name in PACKAGES[:2]:  # where none of them is installed, too
        monkeypatch.setitem(sys.modules, name, sys)
    monkeypatch.setitem(sys.modules, "tf2onnx.convert", sys)
    monkeypatch.setitem(sys.modules, missing, None)
    with refused(missing, 'pip install ".[onnx]"'):
        to_onnx(build_generator(tiny()), tmp_path / "generator.onnx")
    assert not list(tmp_path.iterdir())
