"""One directory per run: every path in it is spelt here, and everything in it is written whole."""

import logging
import os
import re
from dataclasses import replace
from pathlib import Path

from dcgan_tf.common.datasets import FETCHED
from dcgan_tf.common.errors import UserError
from dcgan_tf.common.foreign import read_json
from dcgan_tf.common.hints import typed

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


def find_again(run, config):
    """The config of a run whose relative paths lead nowhere from the current directory.

    They are looked for in the directory that the run was started in, then in those above the run,
    which still fit when all was moved together.

    Args:
        run: Run.
        config: config.Config, with `data`, `packs` and `inception` as the user wrote them.

    Returns:
        config.Config: each of the three that was found elsewhere as an absolute path.
    """
    places = [started_in(run), *run.root.resolve().parents]
    found = {}
    for name in ("data", "packs", "inception"):
        path = Path(getattr(config, name))
        if str(path) in (".", *FETCHED) or path.parts[0].startswith("~") or os.path.exists(path):
            continue
        there = [place / path for place in places if os.path.exists(place / path)]
        if there:
            found[name] = str(there[0])
    return replace(config, **found)


def started_in(run: Run) -> Path:
    """The directory that a run was started in; the current one where that is not known."""
    directory = read_json(run.versions).get("directory")
    return Path(directory) if isinstance(directory, str) else Path()


def run_of(model: Path) -> Run:
    """The run whose generator, or best generator, a file is; its folder as one where it is none."""
    folder = model.absolute().parent
    above = Run(folder.parent)
    if above.best_generator.parent == folder and above.config.is_file():
        return above
    return Run(folder)


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
