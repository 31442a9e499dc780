"""What a training takes, counted from its config: the networks' own count, and refusals in time."""

import math
from dataclasses import replace

import pytest
from helpers import resolved

from dcgan_tf.common import limits
from dcgan_tf.common.config_file import names
from dcgan_tf.common.errors import UserError
from dcgan_tf.train import footprint


@pytest.mark.parametrize(
    "flags",
    [
        *(("--config", name) for name in names()),
        ("--width", 0.25, "--no-use-bias", "--base-batchnorm", "--no-d-first-batchnorm"),
        ("--image-size", 40, "--base-size", 5, "--d-channels", "3,4,5,6,7", "--channels", 1),
    ],
)
def test_the_count_is_that_of_keras(flags):
    from dcgan_tf.models.networks import build_discriminator, build_generator

    config = resolved(*flags)
    generator, discriminator = build_generator(config), build_discriminator(config)
    assert footprint.generator_parameters(config) == generator.count_params()
    assert footprint.discriminator_parameters(config) == discriminator.count_params()
    maps = sum(math.prod(layer.output.shape[1:]) for layer in _convolutions(generator, True))
    maps += 2 * sum(math.prod(layer.output.shape[1:]) for layer in _convolutions(discriminator))
    pictures = 2 * config.image_size**2 * config.channels
    assert footprint.map_values(config) == maps + pictures


def _convolutions(network, with_base=False):
    """Layers whose maps are counted: all convolutions but G's last, which makes the picture."""
    for layer in network.layers:
        if "conv" in type(layer).__name__.lower() and layer.name != "to_picture":
            yield layer
        if with_base and layer.name == "base_map":
            yield layer


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--width", 64), ["--width 64: G and D would have", "more than 1,000,000,000"]),
        (("--latent-dim", 10**10), ["--latent-dim: got 10000000000", "1048576 at most"]),
        (("--latent-dim", 10**6), ["parameters", "--latent-dim"]),
        (("--width", "1e9"), ["--width: got 1000000000.0", "64 at most"]),
        (("--image-size", 32768), ["--image-size: got 32768", "4096 at most"]),
        (("--image-size", 4096, "--base-size", 512), ["parameters"]),
        (
            ("--image-size", 4096, "--base-size", 512, "--width", 0.01, "--batch-size", 65536),
            ["--batch-size 65536: the feature maps of a step", "1,099.5 GB"],
        ),
        (("--batch-size", 10**6), ["--batch-size: got 1000000", "65536 at most"]),
        (("--sample-count", 10**9), ["--sample-count 1000000000", "at most 16,384"]),
        (("--d-channels", ",".join("4" * 400)), ["--d-channels: got 4,4,4", "1 to 12"]),
        (("--g-channels", ",".join("4" * 400)), ["--g-channels: got 4,4,4", "1 to 12"]),
    ],
)
def test_what_no_machine_can_train_is_refused_by_name(flags, words):
    with pytest.raises(UserError) as caught:
        resolved(*flags)
    line = caught.value.for_command()
    assert all(word in line for word in words) and len(line) < 300, line


def test_too_little_memory_is_foreseen(monkeypatch):
    config = resolved("--config", "celeba")
    footprint.check_memory(config)
    needed = footprint.training_bytes(config)
    assert 1.2e9 < needed < 2.9e9  # 2.9 GB were measured for the whole training
    monkeypatch.setattr(limits, "memory", lambda: needed - 1)
    with pytest.raises(UserError, match="needs at least 1.3 GB of memory and there are 1.3 GB"):
        footprint.check_memory(config)
    footprint.check_memory(replace(config, batch_size=16))
    monkeypatch.setenv("TF_CONFIG", "{}")  # the others bear their share of the batch
    footprint.check_memory(config)


def test_the_memory_is_that_of_the_container(monkeypatch, tmp_path):
    free = limits.memory()
    limit = tmp_path / "memory.max"
    monkeypatch.setattr(limits, "_CGROUPS", (str(limit), str(tmp_path / "none")))
    for content, most in (("max\n", free), ("1000000\n", 1_000_000), ("", free)):
        limit.write_text(content)
        assert limits.memory() <= most
    assert limits.memory() > 1_000_000
