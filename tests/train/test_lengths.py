"""The length of a training: in epochs or in images, whatever the size of the data."""

from dataclasses import replace

import pytest
import stress
from helpers import SMALL, refused, resolved
from tiny_run import make_run

from dcgan_tf.common.config import Config
from dcgan_tf.common.config_file import load_recipe, read_config, to_toml
from dcgan_tf.common.foreign import read_lines
from dcgan_tf.common.runs import Run
from dcgan_tf.report.contents import contents
from dcgan_tf.train.images import plan_epoch


def test_epochs_or_images_decide_and_never_both(here):
    (here / "own.toml").write_text("images = 220_000\n")
    cases = {
        (): (200, 0),
        ("--images", "3k"): (0, 3000),
        ("--config", "laptop"): (0, 160_000),
        ("--config", "laptop", "--epochs", "5"): (5, 0),
        ("--config", "own.toml"): (0, 220_000),
    }
    for argv, expected in cases.items():
        config = resolved(*argv)
        assert (config.epochs, config.images) == expected
        (here / "config.toml").write_text(to_toml(config))  # names the one that decides
        assert ("\nepochs = " in to_toml(config)) == bool(config.epochs)
        assert read_config(here / "config.toml") == config
    for text, count in (("200k", 200_000), ("220_000", 220_000), ("1.5M", 1_500_000), ("9", 9)):
        assert resolved("--images", text).images == count
    for text in ("k", "1.5", "2m", "1e5", "-1", "", "1 k", "99999M"):
        with refused("--images: got ", "expected a whole number between 0 and"):
            resolved(f"--images={text}")
    config = load_recipe("faces", epochs=3)
    assert (config.epochs, config.images) == (3, 0)
    assert replace(config, epochs=0, images=8).images == 8
    with refused("images: got 8 and epochs 3; give one of them"):
        replace(config, images=8)
    with refused("--images: got 8 and epochs 3"):
        resolved("--images", 8, "--epochs", 3)


def test_what_falls_falls_over_the_images_unless_told_otherwise():
    assert resolved("--config", "overnight").decay_images == 500_000
    assert resolved("--config", "overnight", "--images", "10k").decay_images == 10_000
    config = Config(images=5000, lr_decay="linear")
    assert replace(config, images=9000).decay_images == 5000  # an extended run keeps its schedule
    assert Config(images=5000, lr_decay="linear", decay_images=70).decay_images == 70
    assert Config(images=5000).decay_images == 0
    with refused("decay_images: got 0"):
        Config(epochs=5, lr_decay="linear")


def test_our_recipes_see_as_many_images_of_a_folder_of_any_size(tmp_path):
    for recipe in ("laptop", "overnight", "faces", "demo"):
        config = replace(load_recipe(recipe), batch_size=8)
        for count in (8, 301, 2_000, 10_000, 300_000):
            steps = plan_epoch(config, count)
            epochs = config.epochs_of(steps * 8)
            assert config.images <= steps * epochs * 8 <= 1.002 * config.images
            assert 1_900 <= steps * 8 <= 10_600 and epochs <= 300
            assert plan_epoch(replace(config, epochs=5, images=0), count) == count // 8
    # Lines come as often as when these recipes stated epochs.
    for recipe, count, epochs in (
        ("laptop", 2000, 80),
        ("overnight", 10_000, 50),
        ("demo", 3000, 7),
    ):
        config = load_recipe(recipe)
        steps = plan_epoch(config, count)
        assert steps == count // config.batch_size
        assert config.epochs_of(steps * config.batch_size) == epochs
    # The report knows how many epochs are planned: tiny_run has 320 images an epoch.
    run = make_run(tmp_path / "one", config=load_recipe("demo"))
    assert contents(run, 1)[1]["planned"] == 66


FLAGS = (
    *("--config", "demo", "--subset", "24", *SMALL, "--batch-size", "12", "--sample-count", "4"),
    *("--images", "3k", "--lr-decay", "cosine", "--checkpoint-steps", "50", "--no-tensorboard"),
    *("--run", "runs/a"),
)


@pytest.mark.slow
def test_killed_within_an_epoch_of_images_it_ends_the_same_and_can_be_extended(tmp_path_factory):
    whole, killed = (tmp_path_factory.mktemp(name) for name in ("whole", "killed"))
    stress.train_through(whole, FLAGS)
    run = Run(whole / "runs/a")
    assert [line["images_seen"] for line in read_lines(run.metrics)] == [1500, 3000]
    assert len(list(run.samples.iterdir())) == 2
    told = stress.kill_at_publication(killed, 1, False, FLAGS, "step_00000150.npz")
    assert told.startswith("killed"), told
    stress.train_through(killed, ("--run", "runs/a"))  # by its config.toml
    assert stress.results(killed / "runs/a") == stress.results(run.root)
    stress.train_through(whole, ("--run", "runs/a", "--images", "4500"))
    assert [line["images_seen"] for line in read_lines(run.metrics)] == [1500, 3000, 4500]
