"""--init-from: a run or two files, and the shape of their networks."""

from contextlib import nullcontext

import keras
import pytest
from helpers import refused, resolved
from keras import layers

from dcgan_tf.common.labels import Labels
from dcgan_tf.common.runs import Run
from dcgan_tf.models.gan import DCGAN
from dcgan_tf.models.networks import build_discriminator, build_generator
from dcgan_tf.models.saving import save_network
from dcgan_tf.train import run_lock
from dcgan_tf.train.init_from import check_same, init_files, warm_start


@pytest.fixture
def trained(here):
    """A run at width 0.25 that makes 32x32 greys from latents of 7, with empty network files."""
    run = Run("runs/a")
    run.root.mkdir(parents=True)
    sizes = ("--width", 0.25, "--latent-dim", 7, "--base-size", 4, "--image-size", 32)
    more = ("--channels", 1, "--kernel-size", 5)
    run_lock.save_config(run, resolved(*sizes, *more, "--epochs", 9, "--seed", 5))
    for path in (run.generator, run.discriminator):
        path.write_bytes(b"")
    return run


def test_names_a_run_or_two_files(trained, here):
    files = [trained.generator, trained.discriminator]
    assert init_files("") == []
    assert init_files("runs/a") == files
    assert init_files(",".join(map(str, files))) == files
    (here / "a.keras").write_bytes(b"")
    for named in ("nothere", "a.keras", "a.keras,no.keras", "a.keras,a.keras,b", "runs", ","):
        with refused(f"init_from {named}"):
            init_files(named)


def test_the_networks_sizes_need_not_be_said_again(trained, here):
    for named in ("runs/a", "runs/a/generator.keras,runs/a/discriminator.keras"):
        config = resolved("--init-from", named)
        sizes = config.width, config.latent_dim, config.base_size, config.image_size
        assert (*sizes, config.channels, config.kernel_size) == (0.25, 7, 4, 32, 1, 5)
        assert (config.epochs, config.seed) == (200, 0)  # the training is one of its own
    config = resolved("--config", "laptop", "--init-from", "runs/a")  # a recipe's shape gives way
    assert (config.base_channels, config.g_channels, config.d_width) == (128, (128, 256, 512), 0)
    assert (config.width, config.batch_size, config.average) == (0.25, 8, "half_life")
    # What the user says otherwise stays.
    assert resolved("--init-from", "runs/a", "--latent-dim", 100).latent_dim == 100
    (here / "own.toml").write_text("latent_dim = 50\nbase_channels = 8\n")
    config = resolved("--config", "own.toml", "--init-from", "runs/a")
    assert (config.latent_dim, config.base_channels, config.width) == (50, 8, 0.25)
    trained.config.unlink()  # files without one say nothing
    assert resolved("--init-from", "runs/a").width == 1


def of(*flags):
    """A generator and a discriminator of a small config."""
    config = resolved("--config", "celeba", "--width", 0.05, *flags)
    return build_generator(config), build_discriminator(config)


def test_networks_that_compute_something_else_are_refused():
    plain, unnormalized = of(), of("--d-norm", "none")
    for networks, flags, which, words in (
        (plain, ("--g-activation", "relu"), 0, "something else than this config's generator (ki"),
        (plain, ("--output-activation", "tanh"), 0, "(activation of its picture is tanh, here sig"),
        (plain, ("--leaky-slope", 0.1), 1, "(negative_slope of its down1_leaky_relu is 0.1, here"),
        (plain, ("--width", 0.1), 1, "not of the shape of this config's discriminator"),
        (plain, ("--d-norm", "spectral"), 1, "not of the shape"),
        (unnormalized, ("--d-norm", "spectral"), 1, "(kind of its down1 is SpectralConv2D, here"),
    ):
        with refused("--init-from a.keras: ", words, "settings that it was trained with"):
            check_same(networks[which], of(*flags)[which], "--init-from a.keras")


def test_what_only_training_or_rounding_decides_may_differ():
    for network, other in zip(of(), of("--seed", 3, "--batchnorm-momentum", 0.5), strict=True):
        check_same(network, other, "--init-from a.keras")
        assert (network.get_weights()[0] == other.get_weights()[0]).all()
    keras.config.set_dtype_policy("mixed_bfloat16")
    half = of("--seed", 3)
    keras.config.set_dtype_policy("float32")
    for network, other in zip(half, of("--seed", 4), strict=True):
        check_same(network, other, "--init-from a.keras")


def test_a_network_of_another_program_is_taken_where_it_computes_the_same():
    def made(*end):
        return keras.Sequential([keras.Input((8, 8, 1)), layers.Conv2D(2, 3), *end])

    for same, *end in (
        (False, layers.BatchNormalization(), layers.Activation("tanh")),
        (False, layers.BatchNormalization()),
        (True, layers.BatchNormalization(), layers.Dropout(0.1), layers.Activation("relu")),
    ):
        with nullcontext() if same else refused("computes something else"):
            check_same(made(layers.BatchNormalization(), layers.ReLU()), made(*end), "a.keras")


def test_networks_of_other_labels_are_refused(here):
    def model(*names, classes=False):
        config = resolved("--config", "celeba", "--width", 0.05)
        labels = Labels(names, classes, (0,)) if names else None
        networks = (
            build_generator(config, labels=labels),
            build_discriminator(config, labels=labels),
        )
        return DCGAN(*networks)

    def start(new):
        files = resolved("--config", "celeba", "--init-from", "g.keras,d.keras", "--width", 0.05)
        warm_start(files, new)

    for own, old, words in (
        (("Male", "Smiling"), ("Smiling", "Male"), "Smiling,Male, here it is Male,Smiling"),
        (("Smiling",), (), "no labels, here it is Smiling"),
        ((), ("Smiling",), "Smiling, here it is no labels"),
    ):
        trained = model(*old)
        save_network(trained.generator, "g.keras")
        save_network(trained.discriminator, "d.keras")
        with refused("--init-from g.keras: ", f"was trained with {words}"):
            start(model(*own))
        same = model(*old)
        start(same)
        assert (same.generator.get_weights()[0] == trained.generator.get_weights()[0]).all()
    save_network(model("a", "b", classes=True).generator, "g.keras")
    with refused("was trained with classes a,b, here it is a,b"):
        start(model("a", "b"))
