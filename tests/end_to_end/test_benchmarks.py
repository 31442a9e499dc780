"""Each benchmark runs at its smallest size and prints its table; how fast is not asked."""

import json
import re
import shutil
import subprocess
import sys

import pytest
from helpers import REPO, resolved
from programs import run_program
from tiny_run import make_run

from dcgan_tf.common.config_file import load_recipe

SMALLEST = {
    "step": ("--width", "0.05", "--batch-size", "4", "--steps", "1", "--only", "dcgan_tf,keras"),
    "fit": ("--width", "0.05", "--subset", "32", "--epochs", "1"),
    "input": ("--batches", "1", "--batch-size", "8", "--only", "dcgan_tf,Pillow,tfds,keras"),
    "generate": ("--n", "5", "--width", "0.05"),
    "startup": ("--width", "0.05", "--only", "train.py,step"),
    "gpu": ("--width", "0.05", "--batch-size", "4", "--steps", "1", "--peak", "1")
    + ("--only", "dcgan_tf: float32,dcgan_tf: tf32,batches"),
}
CONTENDERS = {
    "step": ["dcgan_tf", "dcgan_tf, plain layers", "plain Keras train_step"],
    "fit": ["train.py, all callbacks", "the compiled step alone"],
    "input": ["dcgan_tf, JPEG to pack", "bare decoding, Pillow", "dcgan_tf, pack to batches"]
    + ["tfds.load + map", "keras image_dataset_from_directory"],
    "generate": ["dcgan_tf", "model.predict and a loop"],
    "startup": ["train.py --help", "train.py, first step"],
    "gpu": ["dcgan_tf: float32", "batches on the device"],
}


@pytest.mark.nightly
@pytest.mark.parametrize("name", SMALLEST)
def test_a_benchmark_prints_its_table(name, here):
    script = REPO / "tests/benchmarks" / f"{name}.py"
    done = subprocess.run(
        [sys.executable, str(script), "--rounds", "1", *SMALLEST[name]],
        cwd=here,
        capture_output=True,
        encoding="utf-8",
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    rows = re.findall(r"^(?:  |\| )(\S.*?)(?:  | \|)", done.stdout, re.MULTILINE)
    assert set(CONTENDERS[name]) <= set(rows), done.stdout
    assert not list(here.iterdir())


@pytest.mark.nightly
def test_a_measured_gpu_becomes_a_table_with_shares_of_its_own_peak(here):
    """1 T operations a second against the peak of each card."""
    speeds = {f"dcgan_tf: {name}": [90, 100, 110] for name in ("float32", "TF32", "float16")}
    speeds |= {"torch eager: bfloat16": [100], "batches on the device": [5000]}
    found = {"versions": {"driver": "570.86"}, "operations": 1e10, "peak": 0}
    found |= {"title": "training step", "images_per_second": speeds}
    for card, shares in (
        ("Tesla T4", ["12.3%", "", "1.5%", "1.5%", ""]),
        ("NVIDIA H100 NVL", ["1.7%", "0.2%", "0.1%", "0.1%", ""]),
        ("an unknown card", [""] * 5),
    ):
        (here / "gpu.json").write_text(json.dumps(found | {"card": card}))
        done = run_program(("tests/benchmarks/gpu.py", "--table", here / "gpu.json"), REPO)
        assert done.returncode == 0, done.stderr
        assert f"{card}; driver 570.86; training step\n" in done.stdout
        rows = re.findall(r"^\| (\w.*) \| (.*) \| (.*) \| (.*) \|$", done.stdout, re.MULTILINE)
        assert [row[0] for row in rows] == list(speeds) and [row[3] for row in rows] == shares
        assert rows[1][1:3] == ("100", "90 to 110")


@pytest.mark.nightly
def test_the_cost_of_an_image_is_that_of_its_layers():
    """2 · places of the kernel · its weights: 32 · 32 · 4 · 4 · 256 · 512 for the largest."""
    done = run_program(("tests/benchmarks/cost.py",), REPO)
    assert done.returncode == 0, done.stderr
    assert "G up3            4,295.0 M operations   2,097,152 out" in done.stdout
    assert "D down1              6.3 M operations      65,536 out" in done.stdout
    total = 3 * (2.1 + 33.6 + 268.4 + 4295.0 + 314.6) + 8 * (6.3 + 67.1 + 33.6)
    assert f"an image: {total / 1e3:.2f} G operations" in done.stdout
    assert done.stdout.count("images/s") == 4


def test_the_baseline_page_has_the_rows_of_its_runs(here, monkeypatch, capsys):
    monkeypatch.syspath_prepend(REPO / "tests/benchmarks")
    import baseline

    kept = baseline.PAGE.read_text(), baseline.read_lines()
    for name in ("CSV", "PAGE"):
        path = here / getattr(baseline, name).name
        shutil.copy(getattr(baseline, name), path)
        monkeypatch.setattr(baseline, name, path)

    def add(*runs):
        argv = ["baseline.py", *map(str, runs), "--machine", "a laptop"]
        monkeypatch.setattr(sys, "argv", argv)
        baseline.main()
        capsys.readouterr()
        return baseline.PAGE.read_text(), baseline.read_lines()

    page, lines = add()
    assert (page, lines) == kept
    for line in lines:  # flags that a recipe has taken over would be left out
        if line["recipe"] != "pretrained:faces":
            config = resolved("--config", line["recipe"], *line["flags"].split())
            assert baseline.flags_of(config, line["recipe"]) == line["flags"]
    settings = {"kernel_size": 5, "g_channels": [64, 32, 16, 8], "epochs": 9, "flip": True}
    for seed in (3, 4):
        run = make_run(here / f"r{seed}", config=load_recipe("demo", seed=seed, **settings))
        (record,) = run.evaluation.read_text().splitlines()[-1:]
        record = json.loads(record) | {"fid_768": seed / 10}
        run.evaluation.write_text(json.dumps(record) + "\n")
    add(here / "r3")
    page_after, found = add(here / "r4", here / "r3")  # added again, it replaces its line
    assert [line for line in found if line not in lines] == found[-2:] and len(found) == len(
        lines
    ) + 2
    assert [line["seed"] for line in found[-2:]] == ["4", "3"]
    (row,) = set(page_after.splitlines()) - set(page.splitlines())
    assert row == (
        "| `demo` `--flip --g-channels 64,32,16,8 --kernel-size 5` | 1,920 | 4, 3 | "
        "0.350 ± 0.071 | 1.23 | 0.50 | 0.250 | 1 | no sign of copying | a laptop | aaaaaaaaaaaa |"
    )
    assert page_after.replace(row + "\n", "") == page
