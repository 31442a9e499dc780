"""How long one waits: for help, for a refusal, for an import, for the first training step.

    python tests/benchmarks/startup.py

Each row is a program that is started anew in each round, until it ends. "First step" ends when its
loss is known: a training of one step, until metrics.jsonl has its line; the images are packed in
the round before the first, which does not count.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import turns

NOTHING = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
TRAIN, GENERATE = f"{turns.ROOT}/train.py", f"{turns.ROOT}/generate.py"
PROGRAMS = {  # name: (words after `python`, exit code)
    "python -c pass": (["-c", "pass"], 0),
    "train.py --help": ([TRAIN, "--help"], 0),
    "generate.py --help": ([GENERATE, "--help"], 0),
    "train.py --epochs x (refused)": ([TRAIN, "--epochs", "x"], 2),
    "import dcgan_tf": (["-c", "import dcgan_tf"], 0),
    "import keras": (["-c", "import keras"], 0),
}
FIRST_STEP = "train.py, first step"


def seconds_to_end(words, code):
    """Time a program until it ends with that exit code."""
    start = time.perf_counter()
    done = subprocess.run([sys.executable, *words], cwd=turns.ROOT, **NOTHING)
    assert done.returncode == code, f"{words} ended with exit code {done.returncode}"
    return time.perf_counter() - start


def seconds_to_first_step(folder, width):
    """Time a training until its first loss is written."""
    run = Path(tempfile.mkdtemp(dir=folder)) / "run"
    flags = ["--config", "celeba", "--dataset", "demo", "--subset", "32", "--epochs", "1"]
    flags += ["--width", str(width), "--packs", f"{folder}/packs", "--run", str(run)]
    start = time.perf_counter()
    with subprocess.Popen([sys.executable, TRAIN, *flags], **NOTHING) as process:
        while not (run / "metrics.jsonl").is_file():
            assert process.poll() in (None, 0), f"{flags} ended with exit code {process.poll()}"
            time.sleep(0.01)
        seconds = time.perf_counter() - start
        process.kill()
    return seconds


def main():
    arguments = turns.parse(__doc__, width=(0.25, "of `celeba`'s networks"))
    found = {name: [] for name in turns.chosen(arguments, [*PROGRAMS, FIRST_STEP])}
    for number in range(arguments.rounds + 1):  # once before, so that files are in memory
        for name, own in found.items():
            if name == FIRST_STEP:
                seconds = seconds_to_first_step(arguments.folder, arguments.width)
            else:
                seconds = seconds_to_end(*PROGRAMS[name])
            own += [turns.Turn(1, seconds)] if number else []
    turns.table(f"until it has ended; first step of celeba at {arguments.width:g}", found, "s")


if __name__ == "__main__":
    main()
