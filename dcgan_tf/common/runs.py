"""One directory per run: every path in it is spelt here, and everything in it is written whole."""

import re
from pathlib import Path

from dcgan_tf.common.errors import UserError

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
        return sample_file(self.samples, epoch)

    def sample_files(self):
        """list[Path]: the sample grids there are, by epoch."""
        return list(sample_files(self.samples).values())


def sample_file(folder, epoch):
    """Path: the sample grid of an epoch, counted from 1."""
    return folder / f"epoch_{epoch:04d}.png"


def sample_files(folder):
    """dict {epoch: Path}: the sample grids there are, by epoch; files of other names are not."""
    found = ((re.fullmatch(r"epoch_(\d+)\.png", path.name), path) for path in folder.iterdir())
    return dict(sorted((int(match[1]), path) for match, path in found if match))


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
