"""Kill training again and again and prove that nothing of it shows in the end.

    python tests/support/stress.py --kills 20
    python tests/support/stress.py --data FACES.zip --subset 512 --width 0.25 --batch-size 32 --load

trains a miniature demo, or with --data real images at a real size, once without interruption;
then once more, killed with SIGKILL (which no program can catch) at random moments and, every other
time, at the very moment when it publishes a file: right before or right after a checkpoint, a plot,
a grid, the GIF or the pack gets its name. Each time the same command goes on. In the end all
weights, all of Adam's moments and iterations, metrics.jsonl byte for byte and every sample grid
must be the same.
"""

import argparse
import hashlib
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from programs import REPO, start_program

MINIATURE = (
    *("--config", "demo", "--subset", "96", "--width", "0.1", "--batch-size", "8"),
    *("--sample-count", "4", "--epochs", "4", "--checkpoint-steps", "3", "--run", "runs/a"),
    *("--precision", "float32"),
)
# Runs train.py with os.replace and Path.rename, by which every file is published, counted where
# the file's name ends in `name`.
KILLED_AT_PUBLICATION = """
import os, pathlib, signal, sys
sys.path.insert(0, {repo!r})
import train
from dcgan_tf.common.cli import run_command

left = {count}

def deadly(publish):
    def wrapped(*names, **kwargs):
        global left
        counts = str(names[-1]).endswith({name!r})
        left -= counts
        if counts and left == 0 and {before}:
            os.kill(os.getpid(), signal.SIGKILL)
        done = publish(*names, **kwargs)
        if counts and left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return done
    return wrapped

os.replace = deadly(os.replace)
pathlib.Path.rename = deadly(pathlib.Path.rename)
sys.exit(run_command(train.main, sys.argv[1:]))
"""


def start(cwd, *flags, program=None):
    """Popen of a training in `cwd` with one thread for each CPU; output goes to log files there."""
    command = ("-c", program) if program else ("train.py",)
    with (Path(cwd) / "out.txt").open("a") as out:
        return start_program((*command, *flags), cwd, stdout=out, stderr=out)


def train_through(cwd, flags=MINIATURE):
    """Run a training to its end."""
    if code := start(cwd, *flags).wait():
        raise RuntimeError(f"exit code {code}: {(Path(cwd) / 'out.txt').read_text()}")


def kill_at_random(cwd, moment, flags):
    """Start a training, kill it after so many seconds, and describe what happened."""
    process = start(cwd, *flags)
    try:
        process.wait(moment)
        return "had finished"
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return f"killed after {moment:.1f} s"


def kill_at_publication(cwd, count, before, flags=MINIATURE, name="", prelude=""):
    """Start a training that is killed right before or after it publishes its `count`-th file, or
    the `count`-th whose name ends in `name`; `prelude` is code that it begins with."""
    program = prelude + KILLED_AT_PUBLICATION.format(
        repo=str(REPO), count=count, before=before, name=name
    )
    code = start(cwd, *flags, program=program).wait()
    if code not in (-9, 0):
        raise RuntimeError(f"exit code {code}: {(Path(cwd) / 'out.txt').read_text()}")
    moment = f"{'before' if before else 'after'} publication {count} {name}".rstrip()
    return f"killed {moment}" if code else f"had finished ({moment} never came)"


def kill_twice_and_resume(cwd, flags):
    """Kill a training of two epochs after its first record and before its last checkpoint."""
    for name, before in (("metrics.jsonl", False), ("step_00000008.npz", True)):
        told = kill_at_publication(cwd, 1, before, flags, name)
        assert told.startswith("killed"), told
    train_through(cwd, flags)


def results(run):
    """SHA-256 of everything that must not depend on interruptions."""
    sys.path.insert(0, str(REPO))
    from dcgan_tf.common import checkpoints

    run = Path(run)
    state, journal = checkpoints.read(checkpoints.files(run / "checkpoints")[-1])
    files = [run / "metrics.jsonl", run / "reals.png", run / "losses.png", run / "progress.gif"]
    files += sorted((run / "samples").iterdir())
    return {
        f"state at step {journal.step}": checkpoints.digest_of(state),
        **{path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files},
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--load", action="store_true", help="keep every core busy meanwhile")
    args, flags = parser.parse_known_args()  # the others are train.py's
    if "--data" in flags:
        flags = ["--config", "celeba", *map(_absolute, flags)]
    endless = [sys.executable, "-c", "while True: pass"]
    busy = [subprocess.Popen(endless) for _ in range(os.cpu_count() if args.load else 0)]
    print(f"seed {args.seed}, {os.cpu_count()} CPUs", flush=True)
    try:
        with tempfile.TemporaryDirectory() as whole, tempfile.TemporaryDirectory() as killed:
            stress(args.kills, random.Random(args.seed), (*MINIATURE, *flags), whole, killed)
    finally:
        for program in busy:
            program.kill()
            program.wait()


def _absolute(text):
    return os.path.abspath(text) if os.path.exists(text) else text


def stress(target, rng, flags, whole, killed):
    """Train in the folder `whole`, kill in `killed` until `target` kills are done, compare."""
    began = time.monotonic()
    train_through(whole, flags)
    longest = time.monotonic() - began
    print(f"uninterrupted: {longest:.1f} s", flush=True)
    kills = 0
    while kills < target:
        if rng.random() < 0.5:
            told = kill_at_random(killed, rng.uniform(0, longest), flags)
        else:
            told = kill_at_publication(killed, rng.randint(1, 24), rng.random() < 0.5, flags)
        kills += "had finished" not in told
        print(f"{kills:3d} {told}", flush=True)
        if "had finished" in told:  # compare, and begin again with what is left to do
            compare(whole, killed)
            subprocess.run(["rm", "-rf", f"{killed}/runs", f"{killed}/data"], check=True)
    train_through(killed, flags)
    compare(whole, killed)


def compare(whole, killed):
    """Print what differs; exit with 1 if anything does."""
    expected, found = (results(Path(folder) / "runs/a") for folder in (whole, killed))
    wrong = [name for name in expected | found if expected.get(name) != found.get(name)]
    if wrong:
        sys.exit(f"DIFFERENT: {', '.join(wrong)}")
    print(f"identical: {', '.join(expected)}", flush=True)


if __name__ == "__main__":
    main()
