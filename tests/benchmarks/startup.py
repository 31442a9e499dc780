"""How long one waits: for help, for a refusal, for an import, for the first training step.

    python tests/benchmarks/startup.py

Every line is a program that is started anew in each round, until it ends. "First step" ends when
its loss is known: ours is a training of one step, until metrics.jsonl has its line (the pictures
are packed before), the plain one a script with the same networks and Keras' own loader.
"""

import contextlib
import subprocess
import sys
import time
from pathlib import Path

import turns

NOTHING = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
PICTURES = 32

PLAIN = """
import sys
import keras
import tensorflow as tf
from step import plain_keras
from dcgan_tf.models.networks import build_discriminator, build_generator
from dcgan_tf.train.command import parse_training

config = parse_training(["--width", sys.argv[2]]).config
model = plain_keras(build_generator(config), build_discriminator(config), config)
dataset = keras.utils.image_dataset_from_directory(
    sys.argv[1], labels=None, image_size=(64, 64), batch_size=32, crop_to_aspect_ratio=True
)
model.fit(dataset.map(lambda pictures: pictures / 255), verbose=0)
"""


def seconds_of(command, cwd, code=0):
    """How long a program takes to end; it must end with that exit code."""
    start = time.perf_counter()
    done = subprocess.run(command, cwd=cwd, **NOTHING)
    assert done.returncode == code, f"{command} ended with exit code {done.returncode}"
    return time.perf_counter() - start


def first_line_of(command, path, cwd):
    """How long until a program has written a line to a file; it is then stopped."""
    start = time.perf_counter()
    process = subprocess.Popen(command, cwd=cwd, **NOTHING)
    try:
        while not path.is_file() or b"\n" not in path.read_bytes():
            assert process.poll() in (None, 0), f"{command} ended with exit code {process.poll()}"
            time.sleep(0.01)
        return time.perf_counter() - start
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        process.wait()


def programs(folder, width):
    """{name: function that runs it once and returns seconds}, in two tables."""
    python, train = sys.executable, str(turns.ROOT / "train.py")
    generate = str(turns.ROOT / "generate.py")
    flags = ["--data", "jpegs", "--dataset", "folder", "--epochs", "1"]
    flags += ["--width", str(width), "--packs", "packs"]
    here = f"import sys; sys.path[:0] = {[str(turns.ROOT), str(Path(__file__).parent)]}\n"
    runs = iter(range(10**6))

    def ends(*command, code=0):
        return lambda: seconds_of([python, *command], folder, code)

    def first_step():
        run = f"run{next(runs)}"
        command = [python, train, *flags, "--run", run]
        return first_line_of(command, folder / run / "metrics.jsonl", folder)

    quick = {
        "python -c pass": ends("-c", "pass"),
        "train.py --help": ends(train, "--help"),
        "generate.py --help": ends(generate, "--help"),
        "train.py --epochs x (refused)": ends(train, "--epochs", "x", code=2),
        "import dcgan_tf": ends("-c", here + "import dcgan_tf"),
        "import keras": ends("-c", "import keras"),
    }
    steps = {
        "dcgan_tf, first step": first_step,
        "plain Keras, first step": ends("-c", here + PLAIN, "jpegs", str(width)),
    }
    return quick, steps


def take_turns(functions, rounds):
    """{name: [turns.Turn]}; each program runs once before, so that its files are in memory."""
    found = {name: [] for name in functions}
    for number in range(rounds + 1):
        for name, run in functions.items():
            seconds = run()
            if number:
                found[name].append(turns.Turn(1, seconds, 0))
    return found


def main():
    from input import draw

    parser = turns.parser(__doc__, width=(0.25, "of `celeba`'s networks"))
    arguments = parser.parse_args()
    chosen = turns.wanted(arguments)
    with turns.folder_of(arguments) as folder:
        draw(folder / "jpegs", PICTURES)
        for title, group in zip(
            ("until it has ended", f"until the first step's loss, celeba at {arguments.width:g}"),
            programs(folder, arguments.width),
            strict=True,
        ):
            some = {name: run for name, run in group.items() if chosen(name)}
            turns.table(title, take_turns(some, arguments.rounds), "s")


if __name__ == "__main__":
    main()
