"""The run directory: every path in it, and how to find runs."""

import contextlib
import logging
import os
import re
from collections.abc import Collection
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from dcgan_tf.common import hub, limits
from dcgan_tf.common.datasets import FETCHED
from dcgan_tf.common.errors import UserError
from dcgan_tf.common.foreign import read_json
from dcgan_tf.common.suggestions import meant, typed

if TYPE_CHECKING:
    from dcgan_tf.common.config import Config

log = logging.getLogger(__name__)

RUNS = Path("runs")
BUNDLED = Path(__file__).parents[1] / "pretrained"  # a run directory for each bundled generator
LATEST = "latest"  # in RUNS: a link to the last run trained, or a file with its name


class Run:
    """The paths of one run; creating the object does not touch the disk."""

    def __init__(self, root: str | os.PathLike):
        if not isinstance(root, (str, os.PathLike)):
            raise UserError(f"got {limits.shown(root)}, expected the path of a run or a file")
        self.root = _follow_latest(Path(root))
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
        self.raw_generator = self.root / "raw_generator.keras"
        self.discriminator = self.root / "discriminator.keras"
        self.evaluation = self.root / "evaluation.jsonl"
        self.scores = self.root / "scores.png"
        self.best_generator = self.root / "best" / "generator.keras"
        self.best_score = self.root / "best" / "score.json"
        self.memorisation = self.root / "memorisation.json"
        self.memorisation_pairs = self.root / "memorisation.png"
        self.report = self.root / "report.html"
        self.directions = self.root / "directions.npz"
        self.directions_report = self.root / "directions.json"
        self.directions_pictures = self.root / "directions"
        self.probe = self.root / "probe.json"
        self.lock = self.root / ".lock"

    def folders(self) -> list[Path]:
        """Every folder that a run may hold."""
        return [self.samples, self.checkpoints, self.tensorboard, self.best_score.parent]


def _follow_latest(root: Path) -> Path:
    """Replace runs/latest by the run that it links to, unless it is a real folder."""
    if root.name != LATEST:
        return root
    try:
        name = os.readlink(root) if root.is_symlink() else root.read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        return root
    return root.parent / name


def lasting(path: str) -> str:
    """A path of or in a run with the run's own name in place of `latest`."""
    place = Path(path)
    for above in (place, *place.parents):
        if (run := Run(above).root) != above:
            return str(run / place.relative_to(above))
    return path


def mark_latest(run: Run):
    """Make runs/latest link to a run in that folder."""
    folder, name = run.root.parent, run.root.name
    if os.path.abspath(folder) != os.path.abspath(RUNS) or name == LATEST:
        return
    fresh = folder / f".{LATEST}-{os.getpid()}"
    with contextlib.suppress(OSError):  # a folder has that name; training does not need the link
        try:
            fresh.symlink_to(name, target_is_directory=True)
        except OSError:  # on Windows, without the privilege
            fresh.write_text(f"{name}\n", encoding="utf-8")
        if os.name == "nt" and (folder / LATEST).is_symlink():  # which nothing replaces there
            (folder / LATEST).unlink()
        fresh.replace(folder / LATEST)
    fresh.unlink(missing_ok=True)


def sample_file(folder: Path, epoch: int) -> Path:
    """Path of the sample grid of an epoch, counted from 1."""
    return folder / f"epoch_{epoch:04d}.png"


def sample_files(folder: Path) -> dict[int, Path]:
    """Find the sample grids in a folder, by epoch; ignore files with other names."""
    found = {epoch: path for path in folder.glob("epoch_*.png") if (epoch := epoch_of(path))}
    return dict(sorted(found.items()))


def epoch_of(path: Path) -> int | None:
    """Read the epoch of a sample grid from its name, `epoch_0012.png`; None for other files."""
    match = re.fullmatch(r"epoch_([0-9]{4,9})\.png", path.name)
    epoch = int(match[1]) if match else 0
    return epoch if epoch and path == sample_file(path.parent, epoch) and path.is_file() else None


def find_again(run: Run, config: "Config", named: Collection[str] = ()) -> "Config":
    """Resolve the relative paths of a resumed run, and make them absolute.

    They are relative to the directory in which the run was started, also if it was moved together
    with the run, else to the current one. Fields in `named` are relative to the current one.
    """
    begun, home = started_in(run), started_in(run, "run")
    starts, found = [begun or Path(), Path()], {}
    if begun and home:  # its current place, relative to the run
        with contextlib.suppress(ValueError):  # Windows: on another drive
            there = os.path.relpath(begun, home)
            starts.insert(0, Path(os.path.normpath(run.root.resolve() / there)))
    for name in ("data", "label_table", "packs", "inception", "init_from"):
        text = getattr(config, name)
        if name in named or text in FETCHED:
            continue
        parts = text.split(",") if name == "init_from" else [text]
        there = ",".join(hub.change_path(part, partial(_start_from, starts)) for part in parts)
        if there != text:
            log.info(f"{name} {text}: found as {there}")
            found[name] = there
    return replace(config, **found)


def _start_from(starts, text):
    """Find the first existing place of a relative path; `text` if it is the same or none exists."""
    if not text or text.startswith("~") or os.path.isabs(text):
        return text
    there = next(filter(os.path.exists, (start / text for start in starts)), None)
    same = there is None or (os.path.exists(text) and os.path.samefile(there, text))
    return text if same else str(there)


def has_checkpoint(run: Run) -> bool:
    return any(run.checkpoints.glob("step_*.npz"))


def started_in(run: Run, what: str = "directory") -> Path | None:
    """Read the directory in which a run was started, or its own then (`run`); None if unknown."""
    folder = read_json(run.versions).get(what)
    return Path(folder) if isinstance(folder, str) and os.path.isabs(folder) else None


def run_of(model: Path) -> Run:
    """Find the run of a generator file; by default its folder."""
    folder = model.absolute().parent
    above = Run(folder.parent)
    if above.best_generator.parent == folder and above.config.is_file():
        return above
    return Run(folder)


def named(word: str | os.PathLike) -> Run | None:
    """Find a run by directory, by name or number in runs/, or by `latest`; else None."""
    name = os.fspath(word)
    if name and (run := Run(name)).root.is_dir():
        return run
    if name == "latest":
        return newest()
    number = f"{name:0>4}-" if name.isdecimal() else ""
    fitting = [n for n in names() if n == name or (number and f"{n}-".startswith(number))]
    if len(fitting) > 1 and name not in fitting:
        raise UserError(f"{name}: {' and '.join(fitting)} have this number; name one")
    return Run(RUNS / (name if name in fitting else fitting[0])) if fitting else None


def find(word: str | os.PathLike, flag: str = "", also: Collection[str] = ()) -> Run:
    """Find a run as `named` does, else raise UserError, which may suggest a run or `also`."""
    if run := named(word):
        return run
    name = os.fspath(word)
    shown = limits.shorten(name)
    if name in bundled():
        there = f"{name} is a bundled generator; try {typed('generate')} {name}"
    else:
        near = meant(name, [*names(), *also])
        there = f"did you mean {near}?" if near else list_runs()
    raise UserError(f"no such run; {there}", flag=f"{flag} {shown}".strip())


def list_runs() -> str:
    """Name the last runs in runs/ for an error."""
    known = [str(RUNS / name) for name in names()]
    more = f" and {len(known) - 5} more" if len(known) > 5 else ""
    return f"there are {', '.join(known[-5:])}{more}" if known else f"there is no run in {RUNS}"


def bundled() -> list[str]:
    """Name the bundled generators, such as `faces`."""
    return sorted(path.parent.name for path in BUNDLED.glob("*/generator.keras"))


def names(folder: Path = RUNS) -> list[str]:
    """Name the runs in a folder."""
    return [path.name for path in _entries(folder) if Run(path).config.is_file()]


def newest(part: str = "generator") -> Run:
    """Find the run whose generator, or another file of `Run`, was written last."""
    written = [run for run in map(Run, _entries(RUNS)) if getattr(run, part).is_file()]
    if not written:
        raise UserError(
            f"no run with a {getattr(Run(''), part).name} in {RUNS.absolute()}; train first "
            f"({typed('train')} demo), or name a run or a .keras file"
        )
    return max(written, key=lambda run: getattr(run, part).stat().st_mtime_ns)


def _entries(folder):
    entries = sorted(folder.iterdir()) if folder.is_dir() else []
    return [path for path in entries if path.name != LATEST]
