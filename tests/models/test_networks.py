"""G and D are the published networks, layer for layer, and load without this project."""

import json
import subprocess
import sys
import tomllib
import zipfile
from dataclasses import replace

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers import REPO, refused
from programs import run_program
from tiny_gan import PIXELS, tiny

from dcgan_tf.common.config import Config
from dcgan_tf.common.config_file import find_config, names, read_config
from dcgan_tf.models.gan import DCGAN
from dcgan_tf.models.networks import (
    MinibatchStd,
    SpectralConv2D,
    SpectralDense,
    build_discriminator,
    build_generator,
    largest_singular_value,
)
from dcgan_tf.models.saving import save_network
from dcgan_tf.train.command import parse_training

# What these layers take in Keras 3.13, which refuses a file with any other key.
EVERY_LAYER = {"name", "trainable", "dtype"}
KERNEL = {"use_bias", "activation", "activity_regularizer"}
MAPS = {"filters", "kernel_size", "strides", "padding", "dilation_rate", "data_format"}
KERAS_3_13 = {
    "InputLayer": {"batch_shape", "sparse", "ragged", "optional"},
    "Dense": KERNEL | {"units", "quantization_config", "lora_rank", "lora_alpha"},
    "Conv2D": KERNEL | MAPS | {"groups"},
    "Conv2DTranspose": KERNEL | MAPS | {"output_padding"},
    "BatchNormalization": {"axis", "momentum", "epsilon", "center", "scale", "synchronized"},
    "ReLU": {"max_value", "negative_slope", "threshold"},
    "LeakyReLU": {"negative_slope"},
    "Activation": {"activation"},
    "Flatten": {"data_format"},
    "Reshape": {"target_shape"},
}


def resolved(*argv):
    return parse_training(list(argv)).config


def trainable(network):
    return sum(int(np.prod(w.shape)) for w in network.trainable_weights)


def test_the_networks_have_the_weights_of_what_they_reproduce():
    config = resolved()
    generator, discriminator = build_generator(config), build_discriminator(config)
    assert generator.count_params() == 3_983_235
    assert discriminator.count_params() == 406_081
    without = replace(config, d_first_batchnorm=False)
    assert build_discriminator(without).count_params() == 405_825
    narrow = build_generator(resolved("--width", "0.25"))  # whose latent is not scaled
    assert narrow.count_params() == 455_139 and narrow.input_shape == (None, 128)
    radford = resolved("--config", "radford")
    assert trainable(build_generator(radford)) == 3_576_704
    assert trainable(build_discriminator(radford)) == 2_765_568

    # TTUR: a kernel 5x5 x in x out and a bias, gamma and beta, of each layer in their code.
    ttur = resolved("--config", "ttur")
    base, kernels = 100 * 8192 + 8192 + 2 * 512, 25 * (512 * 256 + 256 * 128 + 128 * 64 + 64 * 3)
    assert trainable(build_generator(ttur)) == base + kernels + 3 * (256 + 128 + 64) + 3
    kernels, norms = 25 * (3 * 64 + 64 * 128 + 128 * 256 + 256 * 512), 3 * (128 + 256 + 512)
    assert trainable(build_discriminator(ttur)) == kernels + 64 + norms + 8192 + 1

    kinds = [type(layer).__name__ for layer in generator.layers[1:]]
    block = ["Conv2DTranspose", "BatchNormalization", "LeakyReLU"]
    assert kinds == ["Dense", "Reshape", *block * 3, "Conv2D", "Activation"]
    filters = [layer.filters for layer in generator.layers if hasattr(layer, "filters")]
    assert filters == [128, 256, 512, 3]
    kinds = [type(layer).__name__ for layer in discriminator.layers[1:]]
    assert kinds == [*["Conv2D", *block[1:]] * 3, "Flatten", "Dense"]
    norms = [n for n in generator.layers if isinstance(n, keras.layers.BatchNormalization)]
    assert {n.momentum for n in norms} == {0.9}


@pytest.mark.parametrize("name", names())
def test_every_config_makes_pictures_of_its_size_and_range(name):
    config = resolved("--config", name, "--width", "0.1")
    generator, discriminator = build_generator(config), build_discriminator(config)
    latents = np.random.RandomState(0).randn(3, config.latent_dim).astype("float32") * 50
    pictures = generator(latents).numpy()
    assert pictures.shape == (3, config.image_size, config.image_size, config.channels)
    low = {"sigmoid": 0, "tanh": -1}[config.output_activation]
    assert low <= pictures.min() and pictures.max() <= 1
    assert discriminator(pictures).shape == (3, 1)
    # The file states only what differs from the defaults.
    path, default = find_config(name), Config()
    stated, config = tomllib.loads(path.read_text(encoding="utf-8")), read_config(path)
    assert not [key for key in stated if getattr(config, key) == getattr(default, key)]


def test_kernels_of_any_size_are_tensorflow_s_with_same_padding():
    for size in (2, 3, 5, 16):
        config = tiny("radford", kernel_size=size, init_stddev=0.3)
        up, down = build_generator(config).get_layer("to_picture"), build_discriminator(config)
        down = down.get_layer("down1")
        maps = np.random.RandomState(0).randn(2, 8, 8, up.kernel.shape[-1]).astype("float32")
        expected = tf.nn.conv2d_transpose(maps, up.kernel, (2, 16, 16, 3), 2, "SAME")
        np.testing.assert_allclose(up(maps), expected, atol=1e-5)
        expected = tf.nn.conv2d(maps[..., :3], down.kernel, 2, "SAME")
        np.testing.assert_allclose(down(maps[..., :3]), expected, atol=1e-5)
        assert up.kernel.shape[:2] == down.kernel.shape[:2] == (size, size)
    for size in (1, 17):
        with refused(f"kernel_size: got {size}, expected a whole number between 2 and 16"):
            tiny(kernel_size=size)


def test_initial_weights_are_normal_seeded_and_different_in_each_layer():
    config = resolved("--width", "0.5")
    first, again = build_generator(config), build_generator(config)
    other = build_generator(replace(config, seed=1))
    kernels = [w.numpy() for w in first.weights if w.name == "kernel"]
    assert all(
        (a.numpy() == b.numpy()).all() for a, b in zip(first.weights, again.weights, strict=True)
    )
    assert not np.allclose(kernels[0], other.weights[0].numpy())
    assert all(abs(kernel.std() - 0.02) < 0.002 for kernel in kernels)
    starts = {kernel.ravel()[0] for kernel in kernels}
    starts.add(build_discriminator(config).weights[0].numpy().ravel()[0])
    assert len(starts) == len(kernels) + 1


@pytest.mark.slow
def test_a_saved_generator_loads_with_keras_alone_and_is_the_same_file_in_every_process(tmp_path):
    generator = build_generator(resolved("--width", "0.05"))
    latents = np.random.RandomState(0).randn(2, 128).astype("float32")
    expected = generator(latents, training=False).numpy()
    save_network(generator, tmp_path / "here.keras")
    assert [path.name for path in tmp_path.iterdir()] == ["here.keras"]
    np.save(tmp_path / "latents.npy", latents)
    program = (
        "import keras, numpy as np, sys\n"
        "out = keras.saving.load_model('here.keras')(np.load('latents.npy'))\n"
        "assert not any(name.startswith('dcgan_tf') for name in sys.modules)\n"
        "np.save('out.npy', out)"
    )
    # Another directory, so that the project cannot be imported even by accident.
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True, capture_output=True)
    np.testing.assert_allclose(np.load(tmp_path / "out.npy"), expected, atol=1e-6)
    program = (
        "import sys\n"
        "from dcgan_tf.models.networks import build_generator\n"
        "from dcgan_tf.models.saving import save_network\n"
        "from dcgan_tf.train.command import parse_training\n"
        "config = parse_training(['--width', '0.05']).config\n"
        "save_network(build_generator(config), sys.argv[1])"
    )
    there = tmp_path / "there.keras"
    assert run_program(("-c", program, there), REPO).returncode == 0
    assert (tmp_path / "here.keras").read_bytes() == there.read_bytes()


@pytest.mark.parametrize("recipe", ["celeba", "radford"])
@pytest.mark.parametrize("build", [build_generator, build_discriminator])
def test_saved_networks_have_no_key_that_keras_3_13_refuses(tmp_path, recipe, build):
    save_network(build(resolved("--config", recipe, "--width", "0.05")), tmp_path / "it.keras")
    with zipfile.ZipFile(tmp_path / "it.keras") as archive:
        saved = json.loads(archive.read("config.json"))["config"]["layers"]
    assert "BatchNormalization" in {layer["class_name"] for layer in saved}
    for layer in saved:
        words = ("_initializer", "_regularizer", "_constraint")  # of every kind of weight
        keys = {key for key in layer["config"] if not key.endswith(words)}
        assert keys <= KERAS_3_13[layer["class_name"]] | EVERY_LAYER, layer["config"]["name"]


def test_networks_are_the_same_whatever_keras_json_says():
    config, builders = (
        resolved("--config", "radford", "--width", "0.05"),
        (build_generator, build_discriminator),
    )
    wanted = [build(config).to_json() for build in builders]
    before = keras.config.image_data_format()
    try:
        keras.config.set_image_data_format("channels_first")
        assert [build(config).to_json() for build in builders] == wanted
    finally:
        keras.config.set_image_data_format(before)


@pytest.mark.skipif(keras.__version__ < "3.14", reason="this Keras has no such setting")
def test_a_setting_that_keras_3_13_lacks_is_not_dropped_in_silence(tmp_path):
    pictures = keras.Input((8, 8, 3))
    normalized = keras.layers.BatchNormalization(renorm=True)(pictures)
    with pytest.raises(ValueError, match="renorm=True"):
        save_network(keras.Model(pictures, normalized), tmp_path / "it.keras")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("shape", [(48, 5), (5, 48), (30, 30), (7, 1)])
def test_the_value_and_its_gradient_are_those_of_the_decomposition(shape):
    matrix = np.random.RandomState(3).randn(*shape)
    left, values, right = np.linalg.svd(matrix, full_matrices=False)
    variable = tf.Variable(matrix)
    with tf.GradientTape() as tape:
        found = largest_singular_value(variable)
    assert float(found) == pytest.approx(values[0], rel=1e-6)
    expected = np.outer(left[:, 0], right[0])
    np.testing.assert_allclose(tape.gradient(found, variable), expected, atol=1e-3)


def test_a_layer_applies_its_kernel_divided_by_that_value_and_all_its_arguments():
    given = {"strides": 1, "padding": "same", "dilation_rate": 2, "groups": 2, "activation": "relu"}
    pairs = (
        (SpectralConv2D(4, 3, strides=2), keras.layers.Conv2D(4, 3, strides=2), (2, 8, 8, 6)),
        (SpectralConv2D(4, 3, **given), keras.layers.Conv2D(4, 3, **given), (2, 8, 8, 6)),
        (SpectralDense(4, "tanh"), keras.layers.Dense(4, "tanh"), (2, 8)),
    )
    for spectral, plain, shape in pairs:
        inputs = np.random.RandomState(0).randn(*shape).astype("float32")
        spectral(inputs), plain(inputs)
        kernel, bias = spectral.get_weights()
        value = np.linalg.svd(kernel.reshape(-1, 4), compute_uv=False)[0]
        spectral.set_weights([kernel, bias + 0.1])
        plain.set_weights([kernel / value, bias + 0.1])
        np.testing.assert_allclose(spectral(inputs), plain(inputs), rtol=1e-4, atol=1e-4)


def test_minibatch_std_is_its_formula_within_groups_and_d_hidden_a_layer_before_the_logit():
    maps = np.random.RandomState(0).randn(6, 2, 3, 4)
    layer = MinibatchStd(3, dtype="float64")
    found = layer(maps).numpy()
    np.testing.assert_array_equal(found[..., :4], maps)
    groups = maps.reshape(2, 3, 24)
    expected = np.sqrt(groups.var(axis=1) + 1e-8).mean(axis=1).repeat(3)
    np.testing.assert_allclose(found[..., 4], np.broadcast_to(expected[:, None, None], (6, 2, 3)))
    # A device that has half of the batch has the same groups.
    np.testing.assert_array_equal(layer(maps[3:]), found[3:])

    plain, config = build_discriminator(tiny()), tiny(d_minibatch_std=4, d_hidden=8)
    network = build_discriminator(config)
    shapes = {layer.name: layer.output.shape[1:] for layer in network.layers}
    side, channels = plain.get_layer("flatten").input.shape[2:]
    assert shapes["minibatch_std"] == (side, side, channels + 1)
    assert shapes["hidden_leaky_relu"] == (8,) and shapes["logit"] == (1,)
    for ours, other in zip(network.weights, plain.weights, strict=False):
        if ours.path.startswith("down"):
            np.testing.assert_array_equal(ours, other)
    # G must vary within a group, so D's logits depend on the images beside.
    images = np.random.RandomState(1).rand(8, 64, 64, 3).astype("float32")
    same = np.repeat(images[:1], 8, axis=0)
    alone, beside = network(same).numpy()[0], network(np.r_[same[:1], images[1:]]).numpy()[0]
    assert alone != beside


def test_groups_that_do_not_divide_a_batch_or_a_device_s_share_are_refused():
    with refused("d_minibatch_std: got groups of 3, expected a size that divides the batch of 8"):
        tiny(d_minibatch_std=3, batch_size=8)
    model = DCGAN.from_config(tiny(d_minibatch_std=4, batch_size=8))
    model.batch_size = 6
    with refused("d_minibatch_std: groups of 4 images do not divide a device's share of 6"):
        model.fit(tf.data.Dataset.from_tensor_slices(PIXELS).batch(6, drop_remainder=True))


def test_a_spectral_d_changes_no_faster_than_its_image():
    config = tiny(d_norm="spectral", init_stddev=1.0)
    network = build_discriminator(config)
    kinds = [type(layer) for layer in network.layers]
    assert SpectralConv2D in kinds and SpectralDense in kinds
    assert keras.layers.BatchNormalization not in kinds
    one, other = np.random.RandomState(0).uniform(-1, 1, (2, 16, 64, 64, 3)).astype("float32")
    apart = np.abs(network(one) - network(other)).ravel()
    # Each 4x4 convolution of stride 2 sees a pixel 4 times, so its norm is at most 2.
    most = 2 ** len(config.d_channels) * np.linalg.norm((one - other).reshape(16, -1), axis=1)
    assert (apart <= most).all()
