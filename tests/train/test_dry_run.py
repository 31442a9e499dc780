"""--dry-run, --check and the checks before a training: what would stop it stops them."""

import json
import re

import keras
import pytest
from helpers import faces_zip, resolved, write_files

from dcgan_tf.common import limits
from dcgan_tf.common.config_file import to_toml
from dcgan_tf.common.errors import UserError
from dcgan_tf.models import xla
from dcgan_tf.train import command, devices, dry_run
from dcgan_tf.train.__main__ import main

DEMO = ["--config", "demo", "--width", "0.05", "--batch-size", "4", "--subset", "12", "--check"]


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["--run", "runs"], "run runs: .*runs is no folder"),
        (["--run", "notes"], r"run notes: has files .* but no config.toml"),
        (["--init-from", "notes"], "init_from notes: expected a run directory"),
        (["--inception", "none.npz"], "inception .*no such file"),
    ],
)
def test_a_dry_run_refuses_what_a_training_would(argv, words, here):
    (here / "runs").touch()
    (here / "notes").mkdir()
    (here / "notes/todo.txt").touch()
    with pytest.raises(UserError, match=words):
        main(["--config", "demo", *argv, "--dry-run"])


def test_a_dry_run_finds_the_images_of_a_run_from_elsewhere(here, capsys, monkeypatch):
    config = resolved("--data", "faces.zip", "--subset", 8, "--width", 0.05, "--batch-size", 3)
    versions = json.dumps({"directory": str(here / "project")}).encode()
    files = {"config.toml": to_toml(config).encode(), "versions.json": versions}
    run = write_files(here / "project/runs/faces", files)
    faces_zip(here / "project", 9)
    monkeypatch.chdir("/")
    dry_run.print_plan(command.parse_training(["--run", str(run)]))
    said = capsys.readouterr().out
    assert f"images:   8 of 9, {here / 'project/faces.zip'}; steps of 3: 2 an epoch" in said


def test_too_little_memory_stops_the_command_before_the_networks_are_built(here, monkeypatch):
    monkeypatch.setattr(limits, "memory", lambda: 600_000_000)
    with pytest.raises(UserError, match="batch_size 8: this training needs at least 607.5 MB"):
        main(["--config", "demo"])
    assert not list(here.iterdir())


@pytest.fixture
def measure(caplog):
    """Called with flags for {what: text} of all that --check says."""
    caplog.set_level("INFO")

    def call(*argv):
        dry_run.measure_speed(command.parse_training([*DEMO, *argv]))
        return dict(text.split(":", 1) for text in caplog.messages if ":" in text)

    return call


@pytest.fixture
def drawn_times(monkeypatch):
    monkeypatch.setattr(dry_run, "time_steps", lambda config, strategy: (7.0, 50.0))


@pytest.mark.slow
def test_check_times_real_steps_and_writes_nothing(here, measure, monkeypatch):
    steps = []
    watch = dry_run._StopWatch.on_train_batch_end
    monkeypatch.setattr(
        dry_run._StopWatch,
        "on_train_batch_end",
        lambda self, batch, logs: steps.append(batch) or watch(self, batch, logs),
    )
    speed = measure("--channels", "1")["speed"]
    assert re.fullmatch(r" +[\d.,]+ images/s; the first steps took \d+ s", speed)
    assert steps == list(range(dry_run.WARM_UP + dry_run.STEPS))
    assert not list(here.iterdir())


def test_check_estimates_an_epoch_and_names_the_machine(here, measure, drawn_times):
    said = measure("--subset", "90", "--epochs", "30")  # 22 steps of 5 s
    assert said["speed"].strip() == "0.8 images/s; the first steps took 7 s"
    expected = "2 min; 30 of them 55 min, and what samples, scores and checkpoints take"
    assert said["an epoch"].strip() == expected
    assert "90 of" in said["images"] and said["devices"].strip() == "one CPU"
    assert "TensorFlow 2." in said["versions"] and "Keras 3." in said["versions"]
    assert "off (it halves the speed" in said["XLA"] and "precision" in said
    assert said["oneDNN"].split(",")[0].strip() in ("on", "off") and "within" in said["threads"]


@pytest.mark.parametrize(
    ("flags", "text", "words"),
    [
        ([], "flags : fpu amx_bf16 amx_int8", "float32; this processor has AMX: --precision"),
        ([], "flags : fpu amx_tile", "float32"),
        (["--precision", "mixed_bfloat16"], "flags : amx_bf16", "mixed_bfloat16"),
        (["--precision", "mixed_float16"], "flags : amx_bf16", "mixed_float16; on processors"),
    ],
)
def test_check_advises_a_precision(here, measure, drawn_times, monkeypatch, flags, text, words):
    (here / "cpuinfo").write_text(text)
    found = devices.multiplies_bfloat16(here / "cpuinfo")
    assert found == ("amx_bf16" in text) and not devices.multiplies_bfloat16(here / "none")
    monkeypatch.setattr(devices, "multiplies_bfloat16", lambda: found)
    try:
        said = measure(*flags)["precision"].strip()
    finally:
        keras.config.set_dtype_policy("float32")
    assert said.startswith(words) and (";" in said) == (";" in words)


def test_check_without_images_and_a_subset_estimates_no_epoch(
    here, measure, drawn_times, monkeypatch
):
    card = {"device_name": "NVIDIA H100", "compute_capability": (9, 0)}
    monkeypatch.setattr(xla, "gpu_details", lambda: [card])
    said = measure("--dataset", "folder", "--data", "nowhere", "--subset", "0")
    assert "an epoch" not in said and said["images"].startswith("    none: --data nowhere")
    assert said["devices"].strip() == "one CPU; NVIDIA H100, compute capability 9.0"
    assert said["XLA"].strip() == "on" and "oneDNN" not in said


def test_check_takes_the_place_of_a_dry_run():
    with pytest.raises(Exception, match="not allowed with"):
        command.parse_training(["--dry-run", "--check"])
