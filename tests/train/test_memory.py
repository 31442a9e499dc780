"""What a training takes, counted from its config: the networks' own count, and refusals in time."""

from dataclasses import replace

import pytest
from helpers import refused, resolved

from dcgan_tf.common import limits
from dcgan_tf.common.errors import UserError
from dcgan_tf.train.machine import check_memory, memory_needed


def test_what_no_machine_can_train_is_refused_by_name(monkeypatch):
    monkeypatch.setattr(limits, "memory", lambda: 10e9)
    one_layer = ("--image-size", 4096, "--base-size", 512, "--sample-count", 4)
    for flags, words in (
        (("--width", 64), ["--batch-size 32: this training needs at least", "--width"]),
        (
            ("--latent-dim", 10**6),
            ["this training needs at least 132.3 GB of memory and there are 10.0 GB"],
        ),
        (one_layer, ["this training needs at least"]),
        (("--latent-dim", 10**10), ["--latent-dim: got 10000000000", "between 1 and 1048576"]),
        (("--width", "1e9"), ["--width: got 1000000000.0", "and 64"]),
        (("--image-size", 32768), ["--image-size: got 32768", "and 4096"]),
        (("--batch-size", 10**6), ["--batch-size: got 1000000", "and 65536"]),
        (("--sample-count", 10**9), ["--sample-count 1000000000", "at most 16,384"]),
        (("--d-channels", ",".join("4" * 400)), ["--d-channels: got 4,4,4", "1 to 12"]),
        (("--g-channels", ",".join("4" * 400)), ["--g-channels: got 4,4,4", "1 to 12"]),
    ):
        with refused(*words):
            check_memory(resolved(*flags), on_gpu=False)


def test_too_little_memory_is_foreseen(monkeypatch):
    config = resolved("--config", "celeba")
    check_memory(config, on_gpu=False)
    parameters = 3_983_235 + 406_081  # those of the reference
    g_maps = 8 * 8 * 128 + 16 * 16 * 128 + 32 * 32 * 256 + 64 * 64 * 512 + 64 * 64 * 3
    d_maps = 32 * 32 * 64 + 16 * 16 * 128 + 8 * 8 * 128 + 1
    step = 4 * 2 * 32 * (g_maps + 2 * d_maps + 64 * 64 * 3)
    needed = memory_needed(config)
    assert needed == 16 * parameters + step + 2**29
    assert 1.2e9 < needed < 2.9e9  # 2.9 GB were measured for the whole training
    monkeypatch.setattr(limits, "memory", lambda: needed - 1)
    check_memory(config, on_gpu=True)
    with pytest.raises(UserError, match="needs at least 1.3 GB of memory and there are 1.3 GB"):
        check_memory(config, on_gpu=False)
    check_memory(replace(config, batch_size=16), on_gpu=False)
    monkeypatch.setenv("TF_CONFIG", "{}")  # the others bear their share of the batch
    check_memory(config, on_gpu=False)


def test_the_memory_is_that_of_the_container(monkeypatch, tmp_path):
    free = limits.memory()
    limit = tmp_path / "memory.max"
    monkeypatch.setattr(limits, "_CGROUPS", (str(limit), str(tmp_path / "none")))
    for content, most in (("max\n", free), ("1000000\n", 1_000_000), ("", free)):
        limit.write_text(content)
        assert limits.memory() <= most
    assert limits.memory() > 1_000_000
