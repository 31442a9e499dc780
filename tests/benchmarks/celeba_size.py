"""Time, memory and disk of a training on as many images as CelebA has, to 200 steps, and of scores.

    python tests/benchmarks/celeba_size.py FACES.zip [MORE.zip ...] [--images 202599] [--width 0.25]

The scores are those of 5,000 and of 50,000 samples, with a small network in the place of Inception.

The JPEG files of the archives are unpacked once and linked under as many names as are wanted. All
of it lies in a temporary folder (TMPDIR chooses its disk) that is deleted in the end.
"""

import argparse
import contextlib
import os
import sys
import tempfile
import threading
import time
import zipfile
from pathlib import Path

import psutil
import turns

turns.tensorflow()
import keras  # noqa: E402

import dcgan_tf  # noqa: E402
from dcgan_tf.evaluate import scorer  # noqa: E402
from dcgan_tf.evaluate.__main__ import main as evaluate  # noqa: E402

sys.path.append(str(turns.ROOT / "tests" / "support"))
from tiny_inception import TinyInception  # noqa: E402


def link_images(archives, folder, count):
    """Fill a folder with `count` names of the archives' JPEG files; return how many differ."""
    originals = []
    for archive in archives:
        with zipfile.ZipFile(archive) as file:
            for name in [name for name in file.namelist() if name.endswith(".jpg")]:
                if len(originals) < count:
                    originals.append(folder / f"{len(originals) + 1:06}.jpg")
                    originals[-1].write_bytes(file.read(name))
    for number in range(len(originals), count):
        os.link(originals[number % len(originals)], folder / f"{number + 1:06}.jpg")
    return len(originals)


def private_memory():
    """Memory of this process alone, MB; pages of the mapped pack are the disk's cache."""
    found = psutil.Process().memory_info()
    return (found.rss - getattr(found, "shared", 0)) / 1e6


@contextlib.contextmanager
def watching(what):
    """Print the time that a block takes and the largest memory in it, looked at each 50 ms."""
    began, over, most = time.perf_counter(), threading.Event(), [private_memory()]

    def look():
        while not over.wait(0.05):
            most.append(private_memory())

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
    seconds = time.perf_counter() - began
    print(f"{what}: {seconds:,.0f} s, memory from {most[0]:,.0f} to {max(most):,.0f} MB at most")


def score(run, counts):
    """Score samples of a run, as many as each of `counts` says."""
    scorer.load_inception = lambda path: TinyInception()
    for count in counts:
        with watching(f"scores of {count:,} samples"):
            evaluate(["--run", str(run), "--samples", str(count), "--cache", str(run / "features")])


class Watch(keras.callbacks.Callback):
    """Records time and memory at the beginning, after a quarter and at the last step."""

    def __init__(self, steps):
        super().__init__()
        self.steps, self.seen = steps, []

    def note(self):
        self.seen.append((time.perf_counter(), private_memory()))

    def on_train_begin(self, logs=None):
        self.note()

    def on_train_batch_end(self, batch, logs: dict):
        if batch + 1 in (self.steps // 4, self.steps):
            float(logs["g_loss"])
            self.note()
            self.model.stop_training = batch + 1 == self.steps


def measure(arguments, root):
    (root / "images").mkdir()
    different = link_images(arguments.archives, root / "images", arguments.images)
    print(f"{turns.machine()}; {arguments.images:,} images, {different:,} different ones")
    config = dcgan_tf.Config(width=arguments.width, packs=str(root / "packs"), epochs=1)
    began, watch = time.perf_counter(), Watch(arguments.steps)
    dcgan_tf.train(config, data=root / "images", run=root / "run", callbacks=[watch])
    (ready, first), (early, quarter), (late, last) = watch.seen
    pack = sum(path.stat().st_size for path in (root / "packs").rglob("*") if path.is_file())
    speed = 0.75 * arguments.steps * config.batch_size / (late - early)
    packed = arguments.images / (ready - began)
    print(f"to the first step: {ready - began:,.0f} s ({packed:,.0f} images/s), {pack:,} bytes")
    print(f"training: {speed:,.1f} images/s")
    print(
        f"memory, MB: {first:,.0f} before the first step, {quarter:,.0f} after "
        f"{arguments.steps // 4}, {last:,.0f} after {arguments.steps}"
    )
    score(root / "run", arguments.samples)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("archives", nargs="+", help="zip files of JPEG faces as CelebA has them")
    parser.add_argument("--images", type=int, default=202_599, help="[202,599, as CelebA]")
    parser.add_argument("--width", type=float, default=0.25, help="factor on the channels [0.25]")
    parser.add_argument("--steps", type=int, default=200, help="[200]")
    parser.add_argument(
        "--samples", type=int, nargs="*", default=[5000, 50_000], help="scored [5000 50000]"
    )
    with tempfile.TemporaryDirectory() as root:
        measure(parser.parse_args(), Path(root))


if __name__ == "__main__":
    main()
