"""How long one waits: for help, for a refusal, for an import, for the first training step.

    python tests/benchmarks/startup.py

Every line is a program that is started anew in each round, until it ends. "First step" ends when
its loss is known: ours is a training of one step, until metrics.jsonl has its line (the images
are packed before), the plain one a script with the same networks and Keras' own loader.
"""

import itertools
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


def seconds_of(command, cwd, code=0, until=None):
    """Time a program until it ends with that exit code, or has written a line to a file."""
    start = time.perf_counter()
    with subprocess.Popen(command, cwd=cwd, **NOTHING) as process:
        while until and (not until.is_file() or b"\n" not in until.read_bytes()):
            assert process.poll() in (None, 0), f"{command} ended with exit code {process.poll()}"
            time.sleep(0.01)
        if until:
            seconds = time.perf_counter() - start
            process.kill()
            return seconds
        assert process.wait() == code, f"{command} ended with exit code {process.returncode}"
    return time.perf_counter() - start


def programs(folder, width):
    """{name: function that runs it once and returns seconds}, in two tables."""
    python, root = sys.executable, str(turns.ROOT)
    train, generate = f"{root}/train.py", f"{root}/generate.py"
    flags = ["--data", "jpegs", "--dataset", "folder", "--epochs", "1"]
    flags += ["--width", str(width), "--packs", "packs"]
    here = f"import sys; sys.path[:0] = {[root, str(Path(__file__).parent)]}\n"
    runs = map("run{}".format, itertools.count())

    def ends(*command, code=0):
        return lambda: seconds_of([python, *command], folder, code)

    def first_step():
        run = next(runs)
        command = [python, train, *flags, "--run", run]
        return seconds_of(command, folder, until=folder / run / "metrics.jsonl")

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


def main():
    from input import draw

    parser = turns.parser(__doc__, width=(0.25, "of `celeba`'s networks"))
    arguments = parser.parse_args()
    chosen = turns.wanted(arguments)
    titles = "until it has ended", f"until the first step's loss, celeba at {arguments.width:g}"
    with turns.folder_of(arguments) as folder:
        draw(folder / "jpegs", PICTURES)
        for title, group in zip(titles, programs(folder, arguments.width), strict=True):
            found = {name: [] for name in group if chosen(name)}
            for number in range(arguments.rounds + 1):  # once before, so that files are in memory
                for name, own in found.items():
                    turn = turns.Turn(1, group[name](), 0)
                    own += [turn] if number else []
            turns.table(title, found, "s")


if __name__ == "__main__":
    main()
