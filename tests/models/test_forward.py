"""The faster passes compute what Keras' own do: outputs, gradients and statistics."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers import REPO
from keras import layers
from programs import run_program

from dcgan_tf.common.config import Config
from dcgan_tf.models import forward as module
from dcgan_tf.models.forward import forward
from dcgan_tf.models.networks import build_discriminator, build_generator


def networks(synchronized=False, **settings):
    config = dataclasses.replace(Config(), width=0.1, **settings)
    made = (build_generator(config, synchronized), build_discriminator(config, synchronized))
    random = np.random.default_rng(8)
    for bias in (v for network in made for v in network.variables if v.name == "bias"):
        bias.assign(random.normal(0, 0.02, bias.shape))  # 0 at first; not in older checkpoints
    return made


def watched(monkeypatch):
    """list: the layers that a faster form computes, in their order."""
    seen = []
    for name in ("_normalize", "_convolve_by_columns", "_fold"):
        original = getattr(module, name)

        def spy(layer, *args, original=original):
            seen.append(layer.name)
            return original(layer, *args)

        monkeypatch.setattr(module, name, spy)
    return seen


def step(network, call, inputs):
    """Outputs, gradients by the inputs and the weights, and all variables after the pass."""
    before = network.get_weights()
    inputs = tf.constant(inputs)
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        outputs = tf.cast(call(network, inputs), tf.float32)
        factors = tf.cos(tf.range(tf.size(outputs), dtype=tf.float32))
        loss = tf.reduce_sum(tf.reshape(outputs, [-1]) * factors)
    gradients = tape.gradient(loss, [inputs, *moving(network)])
    after = network.get_weights()
    network.set_weights(before)
    return [outputs.numpy(), *(g.numpy() for g in gradients), *after]


def moving(network):
    """Trainable variables but for biases before a BatchNorm, whose gradient is rounding alone."""
    names = {layer.name for layer in network.layers}
    zero = {f"{name.removesuffix('_norm')}/bias" for name in names if name.endswith("_norm")}
    return [v for v in network.trainable_variables if v.path not in zero]


def keras_call(network, inputs):
    return network(inputs, training=True)


def assert_the_same(network, inputs):
    expected, got = (step(network, call, inputs) for call in (keras_call, forward))
    for own, theirs in zip(got, expected, strict=True):
        scale = np.abs(theirs).max() + 1e-9
        np.testing.assert_allclose(own / scale, theirs / scale, atol=5e-5)
    assert_inferred(network, inputs)


def assert_inferred(network, inputs):
    before, expected = network.get_weights(), network(inputs, training=False)
    got = forward(network, inputs, training=False)
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)
    assert all(map(np.array_equal, before, network.get_weights()))


def inputs_of(network):
    random, shape = np.random.default_rng(0), (6, *network.input_shape[1:])
    return (random.random(shape) if len(shape) == 4 else random.normal(size=shape)).astype(
        "float32"
    )


@pytest.mark.slow
@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_in_half_precision_it_is_no_further_from_float32_than_keras_pass_is(policy, monkeypatch):
    keras.config.set_dtype_policy(policy)
    try:
        halves = networks()
    finally:
        keras.config.set_dtype_policy("float32")
    fast, errors = watched(monkeypatch), []
    for half, plain in zip(halves, networks(), strict=True):
        plain.set_weights(half.get_weights())
        passes = (plain, keras_call), (half, forward), (half, keras_call)
        exact, *found = (step(network, call, inputs_of(half)) for network, call in passes)
        for true, *others in zip(exact, *found, strict=True):
            scale = np.linalg.norm(true) + 1e-3
            errors.append([np.linalg.norm(other - true) / scale for other in others])
    own, theirs = np.transpose(errors)
    assert own.mean() < 1.1 * theirs.mean() < 0.1
    assert (own < 3 * theirs + 1e-3).all()
    assert len(fast) == 7, "the faster forms were called"


def trained(network):
    """The network with moving statistics, factors and sums that are none of the initial ones."""
    random = np.random.default_rng(5)
    for layer in network.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.set_weights([random.uniform(0.5, 1.5, w.shape) for w in layer.get_weights()])
    return network


RECIPES = (
    *({}, {"use_bias": False, "g_activation": "relu", "channels": 1}),
    *({"synchronized": True}, {"d_norm": "spectral"}, {"kernel_size": 5}),
)


@pytest.mark.parametrize("recipe", RECIPES)
def test_both_passes_are_those_of_keras_up_to_rounding(recipe, monkeypatch):
    fast, spectral = watched(monkeypatch), "d_norm" in recipe
    downs = [] if spectral else ["down1", "down2", "down3"]
    names, ends = (["up1", "up2", "up3"], downs), (["to_picture"], [])
    for network, ups, end in zip(networks(**recipe), names, ends, strict=True):
        assert_the_same(network, inputs_of(network))
        # In inference, normalization is part of the convolution before.
        assert fast == [*(f"{name}_norm" for name in ups), *end, *ups, *end]
        assert_inferred(trained(network), inputs_of(network))
        fast.clear()


@pytest.mark.parametrize(("policy", "deviation"), [("float32", 1), ("mixed_float16", 50)])
def test_under_xla_the_variance_is_right_however_far_from_zero_the_maps_are(policy, deviation):
    """XLA's own form, E[x^2] - E[x]^2, gives -96 here, and NaN (tensorflow#118701)."""
    maps = keras.Input((8, 8, 4))
    layer = layers.BatchNormalization(momentum=0, dtype=policy)
    network = keras.Model(maps, layer(maps))
    inputs = np.random.default_rng(0).normal(1e4, deviation, (16, 8, 8, 4)).astype("float32")
    inputs = tf.cast(inputs, layer.compute_dtype)
    exact = inputs.numpy().astype("float64")

    @tf.function(jit_compile=True, autograph=False)
    def passed(inputs):
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            outputs = forward(network, inputs)
            loss = tf.reduce_sum(tf.cast(outputs, tf.float32) ** 3)
        return outputs, tape.gradient(loss, inputs)

    outputs, gradient = (value.numpy().astype("float64") for value in passed(inputs))
    mean, variance = exact.mean((0, 1, 2)), exact.var((0, 1, 2))
    np.testing.assert_allclose(layer.moving_mean, mean, 1e-6)
    np.testing.assert_allclose(layer.moving_variance, variance, 1e-5)
    normal = (exact - mean) / np.sqrt(variance + layer.epsilon)
    np.testing.assert_allclose(outputs, normal, atol=3e-3)
    upstream = 3 * normal**2
    slope = (upstream * normal).mean((0, 1, 2))
    expected = (upstream - upstream.mean((0, 1, 2)) - normal * slope) / np.sqrt(variance)
    assert np.abs(gradient - expected).max() < 0.01 * np.abs(expected).max()


DEVICES = """
import sys
import numpy as np
import tensorflow as tf

count, dtype = int(sys.argv[1]), sys.argv[2]
sys.path.insert(0, sys.argv[3])
cpu = tf.config.list_physical_devices("CPU")[0]
logical = [tf.config.LogicalDeviceConfiguration()] * count
tf.config.set_logical_device_configuration(cpu, logical)
import keras
from dcgan_tf.models.forward import forward

strategy = tf.distribute.MirroredStrategy([f"CPU:{n}" for n in range(count)])
random = np.random.default_rng(0)
maps, weights = random.normal(1, 2, (2, count, 4, 6, 6, 5)).astype("float32")
with strategy.scope():
    inputs = keras.Input((6, 6, 5))
    layer = keras.layers.BatchNormalization(momentum=0.7, synchronized=True, dtype=dtype)
    network = keras.Model(inputs, layer(inputs))
first = [random.uniform(0.5, 1.5, 5) for _ in range(4)]


@tf.function(autograph=False)
def replica(call):
    own = tf.distribute.get_replica_context().replica_id_in_sync_group
    maps_here, weights_here = tf.gather(maps, own), tf.gather(weights, own)
    with tf.GradientTape() as tape:
        tape.watch(maps_here)
        outputs = tf.cast(call(maps_here), tf.float32)
        loss = tf.reduce_sum(outputs * weights_here)
    return outputs, tape.gradient(loss, [maps_here, *network.trainable_variables])


def results(call):
    network.set_weights(first)
    outputs, (by_maps, *by_weights) = strategy.run(replica, (call,))
    local = lambda value: np.array(strategy.experimental_local_results(value))
    summed = [local(value).sum(axis=0) for value in by_weights]
    return [local(outputs), local(by_maps), *summed, *network.get_weights()]


fast = results(lambda maps: forward(network, maps))
keras_own = results(lambda maps: network(maps, training=True))
atol = 1e-5 if dtype == "float32" else 0.02
for ours, theirs in zip(fast, keras_own, strict=True):
    scale = abs(theirs).max()
    np.testing.assert_allclose(ours / scale, theirs / scale, rtol=0, atol=atol)
apart = [abs(ours - theirs).max() for ours, theirs in zip(fast, keras_own)]
print("largest", max(apart), "and not the same program", max(apart) > 0)
"""


@pytest.mark.slow
@pytest.mark.parametrize(("count", "dtype"), [(3, "float32"), (2, "mixed_bfloat16")])
def test_over_several_devices_it_is_keras_pass_over_the_whole_batch(count, dtype, tmp_path):
    done = run_program(("-c", DEVICES, count, dtype, REPO), tmp_path)
    assert done.returncode == 0, done.stderr
    assert "not the same program True" in done.stdout


def maps_of(shape):
    return np.random.default_rng(1).normal(size=(3, *shape)).astype("float32")


def chain(shape, *parts):
    """The functional network of these layers, one after the other."""
    outputs = maps = keras.Input(shape)
    for layer in parts:
        outputs = layer(outputs)
    return trained(keras.Model(maps, outputs))


def test_a_normalization_without_factor_and_sum_and_what_stands_between_is_kept():
    network = chain(
        (6, 6, 3),
        layers.Conv2D(5, 3, strides=2, dilation_rate=1, padding="same"),
        layers.BatchNormalization(center=False, scale=False),
        layers.Conv2DTranspose(4, 3, 2, "valid", output_padding=1, activation="relu"),
        layers.BatchNormalization(),  # of what the activation leaves
        layers.BatchNormalization(axis=1),
        layers.Dropout(0.9),
    )
    assert_inferred(network, maps_of((6, 6, 3)))


@pytest.mark.parametrize("shape", [(5, 9, 7), (8, 4, 7), (1, 1, 3)])
def test_images_and_kernels_that_are_no_squares(shape, monkeypatch):
    fast = watched(monkeypatch)
    for kernel in (3, 5, (1, 5)):
        few = layers.Conv2D(2, kernel, padding="same", activation="tanh", name="few")
        assert_the_same(chain(shape, few), maps_of(shape))
    assert fast == ["few"] * 6


def test_a_single_number_in_a_channel_has_no_variance_and_divides_by_nothing():
    network = chain((1, 1, 3), layers.BatchNormalization(momentum=0.5))
    assert_the_same(network, np.ones((1, 1, 1, 3), "float32"))
    assert np.isfinite(np.concatenate(network.get_weights())).all()


def lookalikes():
    """Networks of layers that look alike and have no faster form, or that are no chain."""
    for layer in (
        layers.BatchNormalization(synchronized=True, dtype="float64", name="synchronized"),
        layers.BatchNormalization(axis=1, name="other_axis"),
        layers.BatchNormalization(scale=False, name="no_scale"),
        layers.BatchNormalization(trainable=False, name="frozen"),
        layers.BatchNormalization(dtype="float64", name="double"),
        layers.Conv2D(3, 3, 2, "same", name="strides"),
        layers.Conv2D(3, 3, padding="valid", name="valid"),
        layers.Conv2D(3, 4, padding="same", name="even"),
        layers.Conv2D(3, 3, padding="same", dilation_rate=2, name="dilated"),
        layers.Conv2D(3, 3, padding="same", groups=3, name="groups"),
        layers.Conv2D(8, 3, padding="same", name="many"),
    ):
        yield layer.name, chain((6, 6, 6), layer)
    maps, shared = keras.Input((6, 6, 6)), layers.BatchNormalization()
    normalized = layers.BatchNormalization()(maps)
    both = layers.Add()([normalized, layers.Conv2D(6, 3, padding="same")(normalized)])
    doubled = layers.BatchNormalization()(keras.ops.multiply(maps, 2))
    for name, end in (("sum", both), ("shared", shared(shared(maps))), ("doubled", doubled)):
        yield name, keras.Model(maps, end)


def test_other_layers_and_networks_are_called_as_they_are(monkeypatch):
    fast, inputs = watched(monkeypatch), tf.constant(maps_of((6, 6, 6)))
    for name, network in lookalikes():
        results = []
        for call in (keras_call, forward):
            before = network.get_weights()
            results.append([call(network, inputs).numpy(), *network.get_weights()])
            network.set_weights(before)
        assert all((own == theirs).all() for own, theirs in zip(*results, strict=True)), name
        assert not fast, name
    dropout = chain((4,), layers.Dropout(0.5, seed=1))
    assert (forward(dropout, tf.ones((50, 4))).numpy() == 0).any(), "it is on"


def test_a_network_in_a_network_is_computed_in_the_faster_forms(monkeypatch):
    convolution = layers.Conv2D(4, 3, padding="same", use_bias=False, name="convolution")
    first = keras.Sequential([convolution, layers.BatchNormalization(name="norm")])
    last = keras.Sequential([layers.ReLU(), layers.Conv2D(3, 3, padding="same", name="few")])
    sequential = keras.Sequential([keras.Input((6, 6, 4))])
    for part in (first, last):  # one by one: each time Keras calls the earlier ones anew
        sequential.add(part)
    fast = watched(monkeypatch)
    assert_the_same(sequential, maps_of((6, 6, 4)))
    assert fast == ["norm", "few", "convolution", "few"]
