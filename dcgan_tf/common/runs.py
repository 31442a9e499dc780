"""One directory per run: every path in it is spelt here, and everything in it is written whole."""

import json
import os
from dataclasses import replace
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
        return self.samples / f"epoch_{epoch:04d}.png"

    def sample_files(self):
        """list[Path]: the sample grids there are, by epoch."""
        return sorted(self.samples.glob("epoch_*.png"), key=lambda path: int(path.stem[6:]))


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
    places = [*_started_in(run), *run.root.resolve().parents]
    found = {}
    for name in ("data", "packs", "inception"):
        path = Path(getattr(config, name))
        if str(path) in (".", "tfds") or path.parts[0].startswith("~") or os.path.exists(path):
            continue
        there = [place / path for place in places if os.path.exists(place / path)]
        if there:
            found[name] = str(there[0])
    return replace(config, **found)


def _started_in(run):
    """list[Path]: the directory that the run was started in; empty where that is not known."""
    try:
        return [Path(json.loads(run.versions.read_text(encoding="utf-8"))["directory"])]
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return []


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
