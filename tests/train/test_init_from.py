"""--init-from: a run or two files, and the shape of their networks."""

import keras
import pytest
from helpers import refused, resolved
from keras import layers

from dcgan_tf.common.errors import UserError
from dcgan_tf.common.runs import Run
from dcgan_tf.models.networks import build_discriminator, build_generator
from dcgan_tf.train import run_lock
from dcgan_tf.train.init_from import check_same, init_files


@pytest.fixture
def trained(here):
    """A run at width 0.25 that makes 32x32 greys from latents of 7, with empty network files."""
    run = Run("runs/a")
    run.root.mkdir(parents=True)
    sizes = ("--width", 0.25, "--latent-dim", 7, "--base-size", 4, "--image-size", 32)
    run_lock.save_config(run, resolved(*sizes, "--channels", 1, "--epochs", 9, "--seed", 5))
    for path in (run.generator, run.discriminator):
        path.write_bytes(b"")
    return run


def test_names_a_run_or_two_files(trained):
    files = [trained.generator, trained.discriminator]
    assert init_files("") == []
    assert init_files("runs/a") == files
    assert init_files(",".join(map(str, files))) == files


@pytest.mark.parametrize(
    "named", ["nothere", "a.keras", "a.keras,no.keras", "a.keras,a.keras,b", "runs", ","]
)
def test_refuses_what_is_not_both_networks(named, trained, here):
    (here / "a.keras").write_bytes(b"")
    with pytest.raises(UserError, match=f"init_from {named}"):
        init_files(named)


@pytest.mark.parametrize("named", ["runs/a", "runs/a/generator.keras,runs/a/discriminator.keras"])
def test_the_networks_sizes_need_not_be_said_again(named, trained):
    config = resolved("--init-from", named)
    sizes = config.width, config.latent_dim, config.base_size, config.image_size, config.channels
    assert sizes == (0.25, 7, 4, 32, 1)
    assert (config.epochs, config.seed) == (200, 0)  # the training is one of its own


def test_a_recipe_s_own_shape_gives_way(trained):
    config = resolved("--config", "laptop", "--init-from", "runs/a")
    assert (config.base_channels, config.g_channels, config.d_width) == (128, (128, 256, 512), 0)
    assert (config.width, config.batch_size, config.average) == (0.25, 8, "half_life")


def test_what_the_user_says_otherwise_stays(trained, here):
    assert resolved("--init-from", "runs/a", "--latent-dim", 100).latent_dim == 100
    (here / "own.toml").write_text("latent_dim = 50\nbase_channels = 8\n")
    config = resolved("--config", "own.toml", "--init-from", "runs/a")
    assert (config.latent_dim, config.base_channels, config.width) == (50, 8, 0.25)


def test_files_without_a_config_say_nothing(trained):
    trained.config.unlink()
    assert resolved("--init-from", "runs/a").width == 1


def of(*flags):
    """A generator and a discriminator of a small config."""
    config = resolved("--config", "celeba", "--width", 0.05, *flags)
    return build_generator(config), build_discriminator(config)


RELU = ["kind of its layer 'up1_relu' is relu", "'up1_leaky_relu' is LeakyReLU"]
TANH = ["'picture' is tanh, that of this config's 'picture' is sigmoid"]
SLOPE = ["negative_slope of its layer 'down1_leaky_relu' is 0.1", "is 0.2"]
OTHER_SHAPE = ["not of the shape of this config's discriminator"]


@pytest.mark.parametrize(
    ("flags", "which", "words"),
    [
        (("--g-activation", "relu"), 0, RELU),
        (("--output-activation", "tanh"), 0, TANH),
        (("--leaky-slope", 0.1), 1, SLOPE),
        (("--width", 0.1), 1, OTHER_SHAPE),
    ],
)
def test_networks_that_compute_something_else_are_refused_by_layer(flags, which, words):
    with refused("--init-from a.keras: ", *words, "settings that it was trained with"):
        check_same(of()[which], of(*flags)[which], "--init-from a.keras")


def test_a_spectral_d_is_none_without_normalization_and_only_training_may_differ():
    plain, spectral = of("--d-norm", "none")[1], of("--d-norm", "spectral")[1]
    with refused("kind of its layer 'down1' is Conv2D, that of this config's 'down1' is Spectral"):
        check_same(spectral, plain, "--init-from a.keras")
    for network, other in zip(of(), of("--seed", 3, "--batchnorm-momentum", 0.5), strict=True):
        check_same(network, other, "--init-from a.keras")


@pytest.mark.parametrize(
    ("end", "words"),
    [
        (
            [layers.BatchNormalization(epsilon=1e-5), layers.ReLU()],
            ["epsilon of its layer", "1e-05"],
        ),
        ([layers.BatchNormalization(), layers.Activation("tanh")], ["is tanh, that of"]),
        ([layers.BatchNormalization()], ["kind of its layer 'its end' is nothing more"]),
        ([layers.BatchNormalization(), layers.Dropout(0.1), layers.Activation("relu")], None),
    ],
)
def test_a_network_of_another_program_is_taken_where_it_computes_the_same(end, words):
    def made(*end):
        return keras.Sequential([keras.Input((8, 8, 1)), layers.Conv2D(2, 3), *end])

    pair = made(layers.BatchNormalization(), layers.ReLU()), made(*end)
    if words is None:
        return check_same(*pair, "--init-from a.keras")
    with refused(*words):
        check_same(*pair, "--init-from a.keras")
