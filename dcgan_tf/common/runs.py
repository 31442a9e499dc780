"""One directory per run: every path in it is spelt here, and everything in it is written whole."""

import contextlib
import datetime
import json
import os
import platform
import re
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import filelock
from tqdm import tqdm

from dcgan_tf.common.config import changed_fields, to_toml
from dcgan_tf.common.errors import IN_USE, Interrupted, UserError
from dcgan_tf.train.command import read_config

RUNS = Path("runs")
_UNFINISHED = (".lock", ".writing-")  # all that a run killed at once can leave


class Run:
    """The paths of one run. Making the object touches nothing.

    Args:
        root: the run's directory.
    """

    def __init__(self, root):
        self.root = Path(root)
        self.config = self.root / "config.toml"
        self.versions = self.root / "versions.json"
        self.log = self.root / "log.txt"
        self.metrics = self.root / "metrics.jsonl"
        self.timing = self.root / "timing.jsonl"
        self.losses = self.root / "losses.png"
        self.reals = self.root / "reals.png"
        self.samples = self.root / "samples"
        self.progress = self.root / "progress.gif"
        self.checkpoints = self.root / "checkpoints"
        self.tensorboard = self.root / "tensorboard"
        self.generator = self.root / "generator.keras"
        self.discriminator = self.root / "discriminator.keras"
        self.evaluation = self.root / "evaluation.jsonl"
        self.scores = self.root / "scores.png"
        self.best_generator = self.root / "best" / "generator.keras"
        self.best_score = self.root / "best" / "score.json"
        self.memorisation = self.root / "memorisation.json"
        self.memorisation_pairs = self.root / "memorisation.png"
        self.lock = self.root / ".lock"

    def sample(self, epoch):
        """Path: the sample grid of an epoch, counted from 1."""
        return self.samples / f"epoch_{epoch:04d}.png"

    def sample_files(self):
        """list[Path]: the sample grids there are, by epoch."""
        return sorted(self.samples.glob("epoch_*.png"), key=lambda path: int(path.stem[6:]))

    def say(self, text):
        """Print a line for the person who watches and keep it in log.txt."""
        tqdm.write(text)  # above a progress bar, not into it
        sys.stdout.flush()
        self.note(text)

    def note(self, text):
        """Keep a line in log.txt, with the time in UTC."""
        now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M:%S")
        with self.log.open("a", encoding="utf-8") as file:
            file.write("".join(f"{now} {line}\n" for line in text.splitlines()))


def check(run, config):
    """Raise UserError if `run` holds something that `config` does not go on with."""
    if run.root.exists() and not run.root.is_dir():
        raise UserError(f"--run {run.root}: this is a file, expected a directory or a new name")
    if run.config.is_file():
        saved = read_config(run.config)
        changed = changed_fields(saved, config)
        if changed:
            pairs = (f"{n} {getattr(saved, n)!r} -> {getattr(config, n)!r}" for n in changed)
            raise UserError(
                f"--run {run.root}: belongs to another config ({'; '.join(pairs)}); "
                "drop these settings to go on with that run, or choose another directory"
            )
    elif run.root.is_dir() and any(not p.name.startswith(_UNFINISHED) for p in run.root.iterdir()):
        raise UserError(
            f"--run {run.root}: has files but no config.toml, so it is no run; "
            "choose an empty or new directory"
        )


def save_config(run, config):
    """Write config.toml: when a run is made, and when it goes on with other epochs or logging."""
    write_text(run.config, to_toml(config))


@contextlib.contextmanager
def join(request):
    """The run directory for a worker that is not the chief: it reads there and writes nothing.

    Yields:
        Run.

    Raises:
        UserError: no --run, without which the workers cannot know the chief's directory.
    """
    if not request.run_dir:
        raise UserError(
            "several workers need --run DIR, the same for all, on a disk that they share"
        )
    run = Run(request.run_dir)  # its config is compared when all have met: devices.check_agreement
    run.say = lambda text: None  # the chief speaks for all
    yield run


@contextlib.contextmanager
def claim(request):
    """Own a run directory while the block runs: make it or take it up, and lock it.

    Args:
        request: flags.Request; without `run_dir` the next free `runs/0001-NAME` is made.

    Yields:
        Run: with config.toml and versions.json in it.

    Raises:
        UserError: another config's directory (exit code 2), or a live owner (exit code 4).
    """
    if request.run_dir:
        run = Run(request.run_dir)
        check(run, request.config)
        make_directory(run.root, "--run")
    else:
        run = Run(next_directory(RUNS, request.config_name))
    # The operating system frees this lock when its process dies, however it dies.
    lock = filelock.FileLock(run.lock)
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        raise UserError(
            f"--run {run.root}: another live process is training there; "
            "wait for it or choose another directory",
            code=IN_USE,
        ) from None
    fresh = not run.config.exists()
    try:
        check(run, request.config)
        if fresh:
            save_config(run, request.config)
        if not run.versions.exists():
            write_text(run.versions, json.dumps(versions(), indent=2) + "\n")
        run.samples.mkdir(exist_ok=True)
        run.checkpoints.mkdir(exist_ok=True)
        yield run
    except (UserError, Interrupted, OSError):
        if fresh and not run.reals.exists():  # nothing was trained yet: leave nothing behind
            shutil.rmtree(run.root)
            with contextlib.suppress(OSError):
                RUNS.rmdir()  # goes only if it is empty
        raise
    finally:
        lock.release()


def make_directory(path, flag):
    """Make a directory and its parents, where they are not there yet.

    Raises:
        UserError: the operating system refuses; `flag` is named.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"{flag} {path}: cannot make this folder ({error.strerror}); choose another place"
        ) from None


def next_directory(parent, name=""):
    """Path: a new directory `0001-name`; mkdir is atomic, so two runs never get the same one."""
    make_directory(parent, "new folder in")
    while True:
        taken = (re.match(r"(\d+)", path.name) for path in parent.iterdir())
        number = 1 + max((int(match[1]) for match in taken if match), default=0)
        root = parent / (f"{number:04d}-{name}" if name else f"{number:04d}")
        with contextlib.suppress(FileExistsError):
            root.mkdir()
            return root


def newest():
    """Run: the one whose generator was written last.

    Raises:
        UserError: there is no run with a generator yet.
    """
    found = [Run(path.parent) for path in RUNS.glob("*/generator.keras")]
    if not found:
        raise UserError(
            f"no run with a generator.keras in {RUNS.resolve()}; "
            "train first (make demo, or python train.py), or name one with --run or --model"
        )
    return max(found, key=lambda run: run.generator.stat().st_mtime_ns)


def init_files(config):
    """list[Path]: G and D that `--init-from` names, [] where it names none.

    Raises:
        UserError: neither a run with both networks nor two files.
    """
    if not config.init_from:
        return []
    run = Run(config.init_from)
    names = config.init_from.split(",")
    files = [run.generator, run.discriminator] if run.root.is_dir() else list(map(Path, names))
    if len(files) != 2 or not all(path.is_file() for path in files):
        raise UserError(
            f"--init-from {config.init_from}: expected a run directory with generator.keras and "
            "discriminator.keras, or G.keras,D.keras"
        )
    return files


@contextlib.contextmanager
def editing_lines(path):
    """The records of a JSON-lines file, to be changed in place: written whole when the block ends.

    Two programs that add lines at once wait for each other.
    """
    with filelock.FileLock(path.with_name(f".{path.name}.lock")):
        records = read_lines(path)
        yield records
        write_lines(path, records)


def versions():
    """dict: what this run was made with."""
    packages = ("tensorflow", "keras", "numpy", "pillow", "matplotlib", "tensorflow-datasets")
    return {
        "command": sys.argv,
        "started": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpus": os.cpu_count(),
        **{name: metadata.version(name) for name in packages},
        "git_commit": _git("rev-parse", "HEAD"),
        "git_changes": bool(_git("status", "--porcelain", "--untracked-files=no")),
    }


def _git(*words):
    """str | None: what git says of the code; None where there is no git or no repository."""
    here = Path(__file__).parent
    try:
        done = subprocess.run(["git", *words], cwd=here, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


@contextlib.contextmanager
def replacing(path, sync=True):
    """Write a file whole or not at all: yields a temporary path beside it, then moves it there.

    The temporary name keeps the suffix, which Keras and Pillow go by. What a killed process left
    is overwritten by the next one, for the name is always the same.

    Args:
        path: the file to write or replace.
        sync: wait until the disk has it, so that a power cut cannot leave it empty.
    """
    path = Path(path)
    temporary = path.with_name(f".writing-{path.name}")
    try:
        yield temporary
        if sync:
            with temporary.open("rb+") as file:
                os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path, text):
    """Write a text file whole or not at all, UTF-8."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_lines(path, records):
    """Write dicts as JSON, one a line, whole or not at all."""
    write_text(path, "".join(json.dumps(record) + "\n" for record in records))


def read_lines(path):
    """list[dict]: the JSON records of a file, [] where there is none; torn lines are dropped."""
    if not path.exists():
        return []
    records = []
    for line in path.read_text(encoding="utf-8").splitlines():
        with contextlib.suppress(json.JSONDecodeError):
            records.append(json.loads(line))
    return records
