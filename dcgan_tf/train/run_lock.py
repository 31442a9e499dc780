"""Create or reopen a run directory and lock it while training."""

import contextlib
import datetime
import json
import os
import platform
import re
import subprocess
import sys
from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Any

import filelock

from dcgan_tf.common.atomic_write import write_text
from dcgan_tf.common.config import Config, bound_fields, changed_fields
from dcgan_tf.common.config_file import read_config, to_toml
from dcgan_tf.common.datasets import FETCHED
from dcgan_tf.common.errors import IN_USE, UserError
from dcgan_tf.common.files import check_way, lock_at, make_directory, next_directory
from dcgan_tf.common.log import hush, kept_in
from dcgan_tf.common.runs import LATEST, RUNS, Run, has_checkpoint, mark_latest, newest
from dcgan_tf.train import changes


def check_run(run: Run, config: Config):
    """Raise UserError if training cannot write to `run`, or if the run has other settings."""
    check_way(run.root, _flag(run))
    if run.config.is_file():
        saved = _trained_with(run)
        pairs = [
            f"{name} {getattr(saved, name)!r}, you asked for {getattr(config, name)!r}"
            for name in changed_fields(saved, config)
        ]
        if pairs:
            known, more = "was trained", "omit them, here or in its config.toml, to resume the run"
            if not (has_checkpoint(run) or run.generator.exists() or run.metrics.exists()):
                known, more = "was begun", "delete the directory, in which nothing is trained yet"
            raise UserError(
                f"{known} with other settings ({'; '.join(pairs)}); {more}, or choose another "
                "directory",
                flag=_flag(run),
            )
        return
    inside = sorted(path.name for path in run.root.iterdir()) if run.root.is_dir() else []
    if names := [name for name in inside if not name.startswith(".")]:
        raise UserError(
            f"has files ({', '.join(names[:3])}) but no config.toml, so it is not a run; "
            "choose an empty or new directory",
            flag=_flag(run),
        )


def _trained_with(run: Run) -> Config:
    """Read config.toml, which may have been edited, with the settings of the newest checkpoint."""
    saved = read_config(run.config)
    if not has_checkpoint(run):
        return saved
    from dcgan_tf.common.checkpoints import read_journal  # imports NumPy, not needed before

    bound, found = bound_fields(saved), read_journal(run).get("settings", {})
    bound.pop("init_from")  # has had its effect, and is relative to the folder it began in
    known = {n: tuple(v) if isinstance(v, list) else v for n, v in found.items() if n in bound}
    return replace(saved, **known)


def _flag(run):
    return f"--run {run.root}"


def save_config(run: Run, config: Config, changed: Iterable[dict[str, Any]] = ()):
    """Write config.toml, for a new run or one that resumes with other settings."""
    write_text(run.config, to_toml(config) + changes.to_toml(changed))


@contextlib.contextmanager
def join(request) -> Iterator[Run]:
    """Open the run directory for a worker that is not the chief, without writing."""
    if not request.run_dir:
        raise UserError(
            "several workers need --run DIR, the same for all, on a disk that they share"
        )
    hush()  # only the chief prints
    yield Run(request.run_dir)  # devices.check_agreement compares the configs later


@contextlib.contextmanager
def claim(request) -> Iterator[Run]:
    """Create or reopen a run directory, and lock it while the block runs.

    It is that of the request, or the next free one such as `runs/0001-laptop-mugs-s0`. If the block
    fails before the first plot or checkpoint, everything created here is deleted.

    Raises:
        UserError: a run with other settings (exit code 2), or one that is in use (exit code 4).
    """
    if request.run_dir:
        run = Run(request.run_dir)
        check_run(run, request.config)
        made = make_directory(run.root, "--run")
    else:
        made = make_directory(RUNS, "--run")
        name = name_run(request.config_name, request.config, request.named)
        run = Run(next_directory(RUNS, name, "--run"))
        made.append(run.root)
    try:
        with _lock(run):
            fresh = not run.config.exists()
            try:
                _begin(run, request, fresh)
                with kept_in(run.log):
                    yield run
            except BaseException:
                if fresh:
                    _undo(run)
                raise
    finally:
        for folder in reversed(made):  # deletes only empty folders
            with contextlib.suppress(OSError):
                folder.rmdir()


def name_run(recipe: str, config: Config, named: Collection[str] = ()) -> str:
    """Name a run by recipe, data and seed, in ASCII: laptop-mugs-s0.

    Of the settings `named` on the command line, size and fit are part of it: laptop-mugs-128px-s0.
    """
    data = config.dataset if config.data in ("", *FETCHED) else Path(config.data).stem
    parts = [re.sub(r"\W+", "-", part, flags=re.ASCII)[:30].strip("-") for part in (recipe, data)]
    known = [part for part in dict.fromkeys(parts) if part not in ("", "folder")]
    typed = {"image_size": f"{config.image_size}px", "fit": config.fit}
    known += [text for name, text in typed.items() if name in named]
    return "-".join([*known, f"s{config.seed}"])


def _lock(run):
    try:
        return lock_at(run.lock).acquire(timeout=0)
    except filelock.Timeout:
        raise UserError(
            "another process is training there; wait for it or choose another directory",
            code=IN_USE,
            flag=_flag(run),
        ) from None


def _begin(run, request, fresh):
    check_run(run, request.config)
    if fresh:
        save_config(run, request.config)
    if not run.versions.exists():
        # The run's path shows later whether it was moved.
        facts = versions() | {"recipe": request.config_name, "run": str(run.root.resolve())}
        write_text(run.versions, json.dumps(facts, indent=2) + "\n")
    run.samples.mkdir(exist_ok=True)
    run.checkpoints.mkdir(exist_ok=True)


def _undo(run):
    """Delete what was created before the first plot, by exact names; nothing if there is more."""
    made = {run.lock, run.config, run.versions, run.log, run.reals, *run.folders()}
    events = set(run.tensorboard.glob("events.out.tfevents.*"))
    with contextlib.suppress(OSError):  # the original error matters more
        inside = [p for p in run.root.rglob("*") if p.relative_to(run.root).parts[0][0] != "."]
        if set(inside) <= made | events:
            was_latest = os.path.abspath(Run(RUNS / LATEST).root) == os.path.abspath(run.root)
            # First those that are open, which Windows does not delete; then files before their
            # folder, the lock last.
            for path in [*events, *sorted(made - {run.lock}, reverse=True)]:
                path.rmdir() if path.is_dir() else path.unlink(missing_ok=True)
            with contextlib.suppress(PermissionError):  # Windows: it is held
                run.lock.unlink(missing_ok=True)
            if was_latest:
                (RUNS / LATEST).unlink()
                with contextlib.suppress(UserError):  # there is no other
                    mark_latest(newest("log"))


def versions() -> dict:
    """Versions, machine and command of this process, for versions.json."""
    packages = ("tensorflow", "keras", "numpy", "pillow", "matplotlib", "tensorflow-datasets")
    ours = _git("ls-files", Path(__file__).name)  # not a repository around an installed package
    return {
        "command": sys.argv,
        "directory": os.getcwd(),  # base of relative paths in config.toml
        "started": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpus": os.cpu_count(),
        **{name: metadata.version(name) for name in packages},
        "git_commit": _git("rev-parse", "HEAD") if ours else None,
        "git_changes": bool(ours and _git("status", "--porcelain", "--untracked-files=no")),
    }


def _git(*words) -> str | None:
    """Run git in this package's folder; None without git or a repository."""
    here = Path(__file__).parent
    try:
        done = subprocess.run(["git", *words], cwd=here, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
