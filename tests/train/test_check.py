"""--check: what a training would run on, ten steps, and nothing on the disk."""

import re

import keras
import pytest

from dcgan_tf.models import xla
from dcgan_tf.train import check, command, computing
from dcgan_tf.train.check import STEPS, WARM_UP

DEMO = ["--config", "demo", "--width", "0.05", "--batch-size", "4", "--subset", "12", "--check"]


def check_of(*argv):
    check.check(command.parse_training([*DEMO, *argv]))


@pytest.fixture
def lines(caplog):
    """Called for {what: text} of all that was said."""
    caplog.set_level("INFO")
    return lambda: dict(text.split(":", 1) for text in caplog.messages if ":" in text)


@pytest.mark.slow
def test_it_times_real_steps_and_writes_nothing(here, lines, monkeypatch):
    batches = []
    watch = check._StopWatch.on_train_batch_end
    monkeypatch.setattr(
        check._StopWatch,
        "on_train_batch_end",
        lambda self, batch, logs=None: batches.append(batch) or watch(self, batch, logs),
    )
    check_of("--channels", "1")
    assert re.fullmatch(r" +[\d.,]+ images/s; the first steps took \d+ s", lines()["speed"])
    assert batches == list(range(WARM_UP + STEPS))
    assert not list(here.iterdir())


def test_an_epoch_is_told_from_the_pictures_of_the_run(here, lines, monkeypatch):
    monkeypatch.setattr(check, "_time_steps", lambda config, strategy: (7.0, 50.0))
    check_of("--subset", "90", "--epochs", "30")  # 22 steps of 5 s
    told = lines()
    assert told["speed"].strip() == "0.8 images/s; the first steps took 7 s"
    expected = "2 min; 30 of them 55 min, and what samples, scores and checkpoints take"
    assert told["an epoch"].strip() == expected
    assert "90 of" in told["images"] and told["devices"].strip() == "one CPU"
    assert "TensorFlow 2." in told["versions"] and "Keras 3." in told["versions"]
    assert "off (it halves the speed" in told["XLA"] and "precision" in told
    assert told["oneDNN"].split(",")[0].strip() in ("on", "off") and "within" in told["threads"]
    assert not list(here.iterdir())


@pytest.mark.parametrize(
    ("flags", "text", "words"),
    [
        ([], "flags : fpu amx_bf16 amx_int8", "float32; this processor has AMX: --precision"),
        ([], "flags : fpu amx_tile", "float32"),
        (["--precision", "mixed_bfloat16"], "flags : amx_bf16", "mixed_bfloat16"),
        (["--precision", "mixed_float16"], "flags : amx_bf16", "mixed_float16; on processors"),
    ],
)
def test_who_has_amx_hears_of_it(here, lines, monkeypatch, flags, text, words):
    (here / "cpuinfo").write_text(text)
    monkeypatch.setattr(check, "_time_steps", lambda config, strategy: (7.0, 50.0))
    found = computing.multiplies_bfloat16(here / "cpuinfo")
    assert found == ("amx_bf16" in text) and not computing.multiplies_bfloat16(here / "none")
    monkeypatch.setattr(computing, "multiplies_bfloat16", lambda: found)
    try:
        check_of(*flags)
    finally:
        keras.config.set_dtype_policy("float32")
    told = lines()["precision"].strip()
    assert told.startswith(words) and (";" in told) == (";" in words)


def test_without_pictures_and_a_subset_it_tells_no_epoch(here, lines, monkeypatch):
    monkeypatch.setattr(check, "_time_steps", lambda config, strategy: (7.0, 50.0))
    monkeypatch.setattr(
        xla,
        "gpu_details",
        lambda: [{"device_name": "NVIDIA H100", "compute_capability": (9, 0)}],
    )
    check_of("--dataset", "folder", "--data", "nowhere", "--subset", "0")
    told = lines()
    assert "an epoch" not in told and told["images"].startswith("    none: --data nowhere")
    assert told["devices"].strip() == "one CPU; NVIDIA H100, compute capability 9.0"
    assert told["XLA"].strip() == "on" and "oneDNN" not in told


def test_it_takes_the_place_of_a_dry_run():
    with pytest.raises(Exception, match="not allowed with"):
        command.parse_training(["--dry-run", "--check"])
