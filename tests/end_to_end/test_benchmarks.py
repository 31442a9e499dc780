"""Each benchmark runs at its smallest size and prints its table; how fast is not asked."""

import subprocess
import sys

import pytest
from helpers import REPO
from programs import run_program

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
    "startup": ["train.py --help", "dcgan_tf, first step", "plain Keras, first step"],
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
    rows = [line[2:40].strip() for line in done.stdout.splitlines() if line.startswith("  ")]
    assert set(CONTENDERS[name]) <= set(rows), done.stdout
    assert not list(here.iterdir())


def test_the_cost_of_an_image_is_that_of_its_layers():
    """2 · places of the kernel · its weights: 32 · 32 · 4 · 4 · 256 · 512 for the largest."""
    done = run_program(("tests/benchmarks/cost.py",), REPO)
    assert done.returncode == 0, done.stderr
    assert "G up3            4,295.0 M operations   2,097,152 out" in done.stdout
    assert "D down1              6.3 M operations      65,536 out" in done.stdout
    total = 3 * (2.1 + 33.6 + 268.4 + 4295.0 + 314.6) + 8 * (6.3 + 67.1 + 33.6)
    assert f"an image: {total / 1e3:.2f} G operations" in done.stdout
    assert done.stdout.count("images/s") == 4
