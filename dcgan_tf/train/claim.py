"""Whose run directory it is: made or taken up, locked while training, given back."""

import contextlib
import datetime
import json
import os
import platform
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import filelock

from dcgan_tf.common.config import changed_fields, read_config, to_toml
from dcgan_tf.common.errors import IN_USE, Interrupted, UserError
from dcgan_tf.common.files import make_directory, next_directory, write_text
from dcgan_tf.common.log import hush, kept_in
from dcgan_tf.common.runs import RUNS, Run

_UNFINISHED = (".lock", ".writing-")  # all that a run killed at once can leave


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
    hush()  # the chief speaks for all
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
        with kept_in(run.log):
            yield run
    except (UserError, Interrupted, OSError):
        if fresh and not run.reals.exists():  # nothing was trained yet: leave nothing behind
            shutil.rmtree(run.root)
            with contextlib.suppress(OSError):
                RUNS.rmdir()  # goes only if it is empty
        raise
    finally:
        lock.release()


def versions():
    """dict: what this run was made with."""
    packages = ("tensorflow", "keras", "numpy", "pillow", "matplotlib", "tensorflow-datasets")
    return {
        "command": sys.argv,
        "directory": os.getcwd(),  # what relative paths in config.toml start from
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
