"""The run directory: every path in it is defined here."""

import logging
import os
import re
from dataclasses import replace
from pathlib import Path

from dcgan_tf.common.datasets import FETCHED
from dcgan_tf.common.errors import UserError
from dcgan_tf.common.foreign import read_json
from dcgan_tf.common.suggestions import typed

log = logging.getLogger(__name__)

RUNS = Path("runs")


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

    def files(self) -> list[Path]:
        """Every file with a fixed name that a run may hold, except its lock."""
        return [
            *(self.config, self.versions, self.log, self.metrics, self.timing, self.losses),
            *(self.reals, self.progress, self.generator, self.raw_generator, self.discriminator),
            *(self.evaluation, self.scores, self.best_generator, self.best_score),
            *(self.memorisation, self.memorisation_pairs, self.report),
            *(self.directions, self.directions_report, self.probe),
        ]

    def folders(self) -> list[Path]:
        """Every folder that a run may hold."""
        return [self.samples, self.checkpoints, self.tensorboard, self.best_score.parent]


def sample_file(folder: Path, epoch: int) -> Path:
    """The sample grid of an epoch, counted from 1."""
    return folder / f"epoch_{epoch:04d}.png"


def sample_files(folder: Path) -> dict[int, Path]:
    """The sample grids there are, by epoch; other files in that folder are none."""
    found = {epoch_of(path): path for path in folder.glob("epoch_*.png")}
    return {epoch: found[epoch] for epoch in sorted(found.keys() - {None})}


def epoch_of(path: Path) -> int | None:
    """The epoch of a sample grid by its name, `epoch_0012.png`; None where that is another's."""
    match = re.fullmatch(r"epoch_([0-9]{4,9})\.png", path.name)
    epoch = int(match[1]) if match else None
    return epoch if match and path == sample_file(path.parent, epoch) and path.is_file() else None


def find_again(run, config, named=()):
    """The config of a run that goes on, with the places that its relative paths mean.

    They start from the directory that the run was started in, or, if nothing is there, from the
    current one. If all was moved or copied together, they start from where that directory lies
    now. This is a guess, so it needs checkpoints, which tell whether the images are the run's.

    Args:
        run: Run.
        config: config.Config, with its paths as the user wrote them.
        named: fields that the command line names, which start from the current directory alone.

    Returns:
        config.Config: each path that was found elsewhere as an absolute one. A line tells of it.
    """
    starts, found = list(_starts(run)), {}
    for name in ("data", "packs", "inception", "init_from"):
        text = getattr(config, name)
        if name in named or text in FETCHED:
            continue
        parts = text.split(",") if name == "init_from" else [text]
        there = ",".join(_start_from(starts, part) for part in parts)
        if there != text:
            log.info(f"{name} {text}: found as {there}")
            found[name] = there
    return replace(config, **found)


def _starts(run):
    """(folder, whether it is a guess) of the folders that relative paths may start from."""
    root, known, begun = run.root.resolve(), has_checkpoint(run), started_in(run)
    home = _recorded(run, "run")
    if known and begun and home not in (None, root):
        yield Path(os.path.normpath(root / os.path.relpath(begun, home))), True
    if begun:
        yield begun, False
    yield Path(), False
    yield from ((folder, True) for folder in root.parents if known)


def _start_from(starts, text):
    """str: the first place of a relative path that exists; `text` if it is that, or if none is."""
    if not text or text.startswith("~") or os.path.isabs(text):
        return text
    found = (start / text for start, guess in starts if not (guess and _in_run(start / text)))
    there = next(filter(os.path.exists, found), None)
    same = there is None or (os.path.exists(text) and os.path.samefile(there, text))
    return text if same else str(there)


def _in_run(path):
    """bool: whether a path is a run's directory or lies in one."""
    path = path.resolve()
    runs = map(Run, (path, *path.parents))
    return any(run.config.is_file() and run.checkpoints.is_dir() for run in runs)


def has_checkpoint(run) -> bool:
    return any(run.checkpoints.glob("step_*.npz"))


def started_in(run) -> Path | None:
    """The directory that a run was started in, None where that is not known."""
    return _recorded(run, "directory")


def _recorded(run, name):
    folder = read_json(run.versions).get(name)
    return Path(folder) if isinstance(folder, str) and os.path.isabs(folder) else None


def run_of(model: Path) -> Run:
    """The run whose generator, or best generator, a file is; its folder as one where it is none."""
    folder = model.absolute().parent
    above = Run(folder.parent)
    if above.best_generator.parent == folder and above.config.is_file():
        return above
    return Run(folder)


def existing(run: Run, flag: str = "--run") -> Run:
    """The run, where there is a folder; UserError, which names the runs that there are."""
    if run.root.is_dir():
        return run
    known = [str(path) for path in _entries(RUNS) if Run(path).config.is_file()]
    there = f"there are {', '.join(known[-5:])}" if known else f"there is no run in {RUNS}"
    more = f" and {len(known) - 5} more" if len(known) > 5 else ""
    raise UserError(f"no such folder; {there}{more}", flag=f"{flag} {run.root}".strip())


def newest() -> Run:
    """The run whose generator was written last. One that may not be read is named and left out.

    Raises:
        UserError: there is no run with a generator yet.
    """
    written = {}
    for root in _entries(RUNS):
        run = Run(root)
        try:
            if run.generator.is_file():
                written[run] = run.generator.stat().st_mtime_ns
        except OSError as error:
            log.warning(f"{root}: left out, it cannot be read ({error.strerror})")
    if not written:
        raise UserError(
            f"no run with a generator.keras in {RUNS.absolute()}; "
            f"train first ({typed('train')} --config demo), or name one with --run or --model"
        )
    return max(written, key=written.get)


def _entries(folder):
    try:
        return sorted(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise UserError(f"{folder}: cannot be read ({error.strerror}); name a --run") from None
