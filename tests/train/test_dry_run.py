"""--dry-run, --check and the checks before a training: what would stop it stops them."""

import json
import re
import sys

import keras
import numpy as np
import pytest
from helpers import face_jpeg, faces_zip, resolved, write_files

from dcgan_tf.common import checkpoints, cuda, limits
from dcgan_tf.common.config_file import to_toml
from dcgan_tf.common.errors import UserError
from dcgan_tf.data.pack import open_pack
from dcgan_tf.models import xla
from dcgan_tf.train import command, images, machine, run_lock, trial
from dcgan_tf.train.__main__ import main

DEMO = ["--config", "demo", "--width", "0.05", "--batch-size", "4", "--subset", "12", "--check"]
DEMO += ["--precision", "float32"]


def test_a_dry_run_refuses_what_a_training_would(here, monkeypatch):
    (here / "runs").touch()
    write_files(here / "notes", {"todo.txt": b""})
    for argv, words in (
        (["--run", "runs"], "run runs: .*runs is not a folder"),
        (["--run", "notes"], r"run notes: has files .* but no config.toml"),
        (["--init-from", "notes"], "init_from notes: expected a run directory"),
        (["--inception", "none.npz"], "inception .*no such file"),
    ):
        with pytest.raises(UserError, match=words):
            main(["--config", "demo", *argv, "--dry-run"])
    monkeypatch.setattr(limits, "memory", lambda: 600_000_000)
    with pytest.raises(UserError, match="batch_size 8: this training needs at least 609.8 MB"):
        main(["--config", "demo", "--run", "new"])
    assert sorted(path.name for path in here.iterdir()) == ["notes", "runs"]


def test_a_dry_run_of_a_worker_does_not_wait_for_the_others(here, monkeypatch, capsys):
    cluster = {"worker": ["127.0.0.1:1", "127.0.0.1:2"]}
    task = {"type": "worker", "index": 1}
    monkeypatch.setenv("TF_CONFIG", json.dumps({"cluster": cluster, "task": task}))
    monkeypatch.setattr(trial.devices, "open_strategy", lambda config: pytest.fail("it waits"))
    trial.print_plan(command.parse_training([*DEMO[:8], "--run", "a"]))
    assert "devices:  one of 2 workers, precision" in capsys.readouterr().out


def test_a_dry_run_finds_the_images_of_a_run_from_elsewhere(here, capsys, monkeypatch):
    config = resolved("--data", "faces.zip", "--subset", 8, "--width", 0.05, "--batch-size", 3)
    versions = json.dumps({"directory": str(here / "project")}).encode()
    files = {"config.toml": to_toml(config).encode(), "versions.json": versions}
    run = write_files(here / "project/runs/faces", files)
    faces_zip(here / "project", 9)
    monkeypatch.chdir("/")
    trial.print_plan(command.parse_training(["--run", str(run)]))
    said = capsys.readouterr().out
    assert f"images:   8 of 9, {here / 'project/faces.zip'}; steps of 3: 2 an epoch" in said


def test_a_dry_run_plans_the_epochs_of_the_run_that_it_extends(here, capsys):
    """A run of 3,000 images has epochs of 1,500, and a typed --epochs makes no passes of them."""
    faces_zip(here, 12)
    flags = ["laptop", "faces.zip", "--batch-size", "4", "--subset", "12", "--images", "3k"]
    request = command.parse_training([*flags, "--run", "a", "--width", "0.05"])
    with run_lock.claim(request) as run:
        pack = open_pack(*images.open_images(request)[:2])
        steps = images.plan_epoch(request.config, 12)
        journal = checkpoints.Journal(steps, pack.manifest["pixels_sha256"], 2 * steps)
        checkpoints.write(run.checkpoints, {"a": np.arange(3)}, journal, keep=3)
    assert steps == 375
    for more in (["--epochs", "3"], ["--images", "4500"]):
        trial.print_plan(command.parse_training(["--run", "a", *more]))
        assert "steps of 4: 375 an epoch, 1,125 in all" in capsys.readouterr().out


@pytest.fixture
def measure(caplog):
    """Called with flags for {what: text} of all that --check says."""
    caplog.set_level("INFO")

    def call(*argv):
        trial.measure_speed(command.parse_training([*DEMO, *argv]))
        return dict(text.split(":", 1) for text in caplog.messages if ":" in text)

    return call


@pytest.fixture
def drawn_times(monkeypatch):
    monkeypatch.setattr(trial, "time_steps", lambda config, strategy, labels: (7.0, 5.0, 4.0))


@pytest.mark.slow
def test_check_times_real_steps_and_writes_nothing(here, measure, monkeypatch):
    looks, watch = [], trial._StopWatch.on_train_batch_end

    def look(self, batch, logs):
        watch(self, batch, logs)
        looks.append((batch + 1, self.model.stop_training))

    monkeypatch.setattr(trial._StopWatch, "on_train_batch_end", look)
    speed = measure("--channels", "1")["speed"]
    assert re.fullmatch(r" +[\d.,]+ images/s, [\d.,]+ ms a step; the first steps took \d+ s", speed)
    # A step takes some milliseconds: more than the ten that are the least, and it ends by itself.
    assert [stop for _, stop in looks] == [False] * (len(looks) - 1) + [True]
    assert looks[-1][0] in [2 + trial.STEPS * 2**n for n in range(20)]
    assert not list(here.iterdir())


def test_check_names_the_machine_and_estimates_an_epoch(here, measure, drawn_times, capsys):
    said = measure("--subset", "90", "--epochs", "30")  # 22 steps of 5 s
    assert said["speed"].strip() == "0.8 images/s, 5,000.0 ms a step; the first steps took 7 s"
    expected = "2 min; 30 of them 55 min, and what samples, scores and checkpoints take"
    assert said["an epoch"].strip() == expected
    assert "90 of" in said["images"] and said["devices"].strip() == "one CPU"
    assert "tensorflow 2." in said["version"] and "keras 3." in said["version"]
    assert said["memory"].endswith(" GB") and "CUDA" not in said
    assert "off (it halves the speed" in said["XLA"] and "precision" in said
    assert said["oneDNN"].split(",")[0].strip() in ("on", "off") and "within" in said["threads"]
    capsys.readouterr()
    measure("--json")  # one object on stdout
    found = json.loads(capsys.readouterr().out)
    assert (found["images_per_second"], found["step_seconds"]) == (0.8, 5.0)
    assert found["first_steps_seconds"] == 7.0 and found["devices"] == "one CPU"
    assert found["recipe"] == "demo, batch_size 4, precision float32, subset 12, width 0.05"
    with pytest.raises(UserError, match="json: needs --check"):
        command.parse_training(["--json"])
    with pytest.raises(UserError, match="not allowed with"):
        command.parse_training(["--dry-run", "--check"])


T4, H100 = (
    {"device_name": name, "compute_capability": capability}
    for name, capability in (("Tesla T4", (7, 5)), ("NVIDIA H100", (9, 0)))
)


@pytest.mark.parametrize(
    ("flags", "text", "gpu", "words"),
    [
        ("", "amx_bf16 avx512_bf16", None, "float32; best here: mixed_bfloat16 (--precision auto"),
        ("", "fpu avx512_bf16", None, "float32; best here: mixed_bfloat16 (--precision auto tries"),
        ("", "fpu amx_tile", None, "float32"),
        ("", "", T4, "float32; best here: mixed_float16"),
        ("", "", H100, "float32; best here: mixed_bfloat16 (--precision auto tries it)"),
        ("--precision mixed_bfloat16", "amx_bf16", None, "mixed_bfloat16"),
        ("--precision mixed_bfloat16", "fpu", None, "mixed_bfloat16; nothing here computes in"),
        ("--precision mixed_float16", "amx_bf16", None, "mixed_float16; on processors"),
    ],
)
def test_check_names_the_best_precision(
    here, measure, drawn_times, monkeypatch, flags, text, gpu, words
):
    (here / "cpuinfo").write_text(f"model name\t: Some CPU\nflags\t: {text}\n")
    monkeypatch.setattr(machine, "CPUINFO", here / "cpuinfo")
    monkeypatch.setattr(xla, "gpu_details", lambda: [gpu] if gpu else [])
    try:
        said = measure(*flags.split())
    finally:
        keras.config.set_dtype_policy("float32")
    precision = said["precision"].strip()
    assert precision.startswith(words) and (";" in precision) == (";" in words)
    assert said["processor"].startswith(" Some CPU, ")
    assert ("AVX512_BF16" in said["processor"]) == ("avx512_bf16" in text)


def test_check_names_a_gpu_and_estimates_no_epoch_of_unknown_images(
    here, measure, drawn_times, monkeypatch
):
    monkeypatch.setattr(xla, "gpu_details", lambda: [H100])
    monkeypatch.setattr(cuda, "cudnn_version", lambda: (9, 24, 0))
    monkeypatch.setattr(cuda, "driver_version", lambda: "570.86")
    monkeypatch.setattr(cuda, "loaded_versions", lambda: {"CUDA": "12.5", "cuDNN": "9.24.0"})
    monkeypatch.setattr(cuda, "card_memory", lambda number: 85e9)
    said = measure("--dataset", "folder", "--data", "nowhere", "--subset", "0")
    assert "an epoch" not in said and said["images"].startswith("    none: --data nowhere")
    expected = "one CPU; NVIDIA H100, compute capability 9.0, 85.0 GB"
    assert said["devices"].strip() == expected
    assert "driver 570.86, CUDA loaded 12.5, cuDNN loaded 9.24.0, built for" in said["CUDA"]
    assert said["XLA"].strip() == "on" and "oneDNN" not in said


def test_check_without_data_does_not_ask_for_images(here, measure, drawn_times, monkeypatch):
    monkeypatch.setattr(sys.modules[__name__], "DEMO", ["--check", "--width", "0.05"])
    said = measure()
    assert "images" not in said and said["recipe"].strip() == "celeba, width 0.05"
    assert said["networks"].strip() == "G 58,946 and D 1,468 parameters"
    assert "an epoch" in said  # of the recipe's 2,000 images


OWN = """
import keras

def networks():
    latents, images = keras.Input((8,)), keras.Input((16, 16, 3))
    x = keras.layers.Dense(768, "tanh")(latents)
    y = keras.layers.Dense(3)(keras.layers.Flatten()(images))
    return keras.Model(latents, keras.layers.Reshape((16, 16, 3))(x)), keras.Model(images, y)
"""


def test_check_times_own_networks_with_labels_if_it_knows_them(here, caplog, monkeypatch, capsys):
    caplog.set_level("INFO")
    monkeypatch.syspath_prepend(here)
    (here / "own_labeled.py").write_text(OWN)
    faces = {f"{'ab'[k % 2]}/{k}.jpg": face_jpeg(k) for k in range(8)}
    write_files(here / "data", faces)
    flags = ["--config", "celeba", "--image-size", "16", "--base-size", "4", "--subset", "8"]
    flags += ["--networks", "own_labeled:networks", "--labels", "class", "--batch-size", "4"]
    for data, timed in (("data", True), ("nowhere", False)):
        argv = [*flags, "--dataset", "folder", "--data", data, "--check"]
        caplog.clear()
        trial.measure_speed(command.parse_training(argv))
        assert ("images/s" in caplog.text) == timed
        assert ("no steps are timed" in caplog.text) != timed
        trial.measure_speed(command.parse_training([*argv, "--json"]))
        assert ("step_seconds" in json.loads(capsys.readouterr().out)) == timed
