"""Checkpoints: the complete state of a training in one file, written whole or not at all.

A checkpoint is `step_00001234.npz`: every variable of G, D, both optimizers and the metrics, and
the journal. If its checksum does not match, the previous checkpoint is used.
"""

import contextlib
import dataclasses
import hashlib
import json
import logging
import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from dcgan_tf.common.atomic_write import replacing
from dcgan_tf.common.errors import UserError, is_unreadable
from dcgan_tf.common.foreign import open_zip, read_array, read_lines, read_member

log = logging.getLogger(__name__)

JOURNAL, SHA256 = "journal", "sha256"


@dataclass
class Journal:
    """Progress of a training; older checkpoints lack the last five fields."""

    steps_per_epoch: int  # whole batches in the data
    pixels_sha256: str  # of the data
    step: int = 0  # number of steps done
    history: list = field(default_factory=list)  # for each epoch, as in metrics.jsonl
    computing: dict = field(default_factory=dict)  # computing.computing of the last steps
    curve: dict = field(default_factory=dict)  # the state of loss_plot.Curve
    settings: dict = field(default_factory=dict)  # config.fixed_fields of the training
    labels_sha256: str = ""  # of the labels of the data
    images: int = 0  # number of images in the data; 0: not recorded

    @property
    def epoch(self) -> int:
        """Number of epochs done."""
        return self.step // self.steps_per_epoch

    @property
    def done_in_epoch(self) -> int:
        """Number of steps done in an unfinished epoch."""
        return self.step % self.steps_per_epoch if self.steps_per_epoch else 0


def variables(model) -> dict:
    """Collect every variable that the training depends on, by name."""
    parts = {
        "generator": model.generator.variables,
        "discriminator": model.discriminator.variables,
        "g_optimizer": model.g_optimizer.variables,
        "d_optimizer": model.d_optimizer.variables,
        "metrics": [variable for metric in model.metrics for variable in metric.variables],
        "averaged": model.ema_generator.variables if model.ema_generator else [],
    }
    return {
        f"{part}/{number:03d}/{variable.name}": variable
        for part, members in parts.items()
        for number, variable in enumerate(members)
    }


def state_of(model) -> dict[str, np.ndarray]:
    """Read the values of `variables(model)`."""
    return {name: variable.numpy() for name, variable in variables(model).items()}


def restore(model, state: dict[str, np.ndarray], parts: tuple[str, ...] = ("",)):
    """Set the variables of `model` whose names start with one of `parts` to `state`."""
    own = {_stable_name(name): variable for name, variable in variables(model).items()}
    state = {_stable_name(name): value for name, value in state.items()}
    if own.keys() != state.keys() or any(own[n].shape != state[n].shape for n in own):
        raise UserError("the checkpoint belongs to another model; choose another --run directory")
    for name, variable in own.items():
        if name.startswith(parts):
            variable.assign(state[name])


def _stable_name(name):
    """Drop the layer from an optimizer variable's name: Keras numbers layers per process."""
    part, number, _ = name.split("/", 2)
    return f"{part}/{number}" if part.endswith("optimizer") else name


def digest_of(state: dict[str, np.ndarray]) -> str:
    """SHA-256 over names, types, shapes and values."""
    sha256 = hashlib.sha256()
    for name, value in sorted(state.items()):
        sha256.update(f"{name} {value.dtype} {value.shape}".encode())
        sha256.update(np.ascontiguousarray(value).tobytes())
    return sha256.hexdigest()


def write(folder: Path, state: dict[str, np.ndarray], journal: Journal, keep: int) -> Path:
    """Write a checkpoint and delete all but the newest `keep`."""
    path = folder / f"step_{journal.step:08d}.npz"
    content: dict = state | {JOURNAL: np.array(json.dumps(dataclasses.asdict(journal)))}
    content[SHA256] = np.array(digest_of(content))
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez(file, **content)
    for old in files(folder)[:-keep]:
        with contextlib.suppress(OSError):  # Windows: another program reads it; the next time
            old.unlink(missing_ok=True)
    return path


def files(folder: Path) -> list[Path]:
    """List the checkpoints, oldest first."""
    inside = folder.iterdir() if folder.is_dir() else []
    found = [(step, path) for path in inside if (step := step_of(path)) is not None]
    return [path for _, path in sorted(found)]


def step_of(path: Path) -> int | None:
    """Read the step of a checkpoint from its name; None where it is no checkpoint."""
    match = re.fullmatch(r"step_([0-9]{8}|[1-9][0-9]{8,17})\.npz", path.name)
    return int(match[1]) if match and path.is_file() else None


def read(path: Path) -> tuple[dict[str, np.ndarray], Journal]:
    """Read and check one checkpoint, in no more memory than its file size.

    Raises:
        ValueError: it is damaged; the message says how.
        OSError, MemoryError: it cannot be read now but may be undamaged.
    """
    try:
        with open_zip(path) as archive:
            content = {name[:-4]: _array(archive, name) for name in archive.namelist()}
        if str(content.pop(SHA256)) != digest_of(content):
            raise ValueError("its checksum does not match")
        return content, Journal(**json.loads(str(content.pop(JOURNAL))))
    except Exception as error:  # zipfile, zlib and NumPy raise many kinds for bad files
        if is_unreadable(error):
            if isinstance(error, OSError):  # a failing read does not name the file
                error.filename = str(path)
            raise
        raise ValueError(f"{type(error).__name__}: {error}") from None


def _array(archive, name):
    return read_array(read_member(archive, name, archive.start_dir, "that the file has"))


def read_newest(folder: Path) -> tuple[dict[str, np.ndarray], Journal] | None:
    """Read the newest undamaged checkpoint, None without any; rename others to `*.damaged`.

    Raises:
        UserError: all checkpoints are damaged.
        OSError, MemoryError: one cannot be read now; nothing is renamed.
    """
    damaged = []
    for path in reversed(files(folder)):
        try:
            found = read(path)
        except ValueError as error:
            log.warning(f"{path} is damaged ({error}); trying the one before it")
            damaged.append(path)
        else:
            for bad in damaged:
                with contextlib.suppress(FileNotFoundError):  # another worker was faster
                    bad.replace(bad.with_suffix(".damaged"))
            return found
    if damaged:
        raise UserError(
            f"{folder}: every checkpoint is damaged ({len(damaged)}); "
            "start a new run in another --run directory, with --init-from the old one's networks"
        )
    return None


def read_journal(run) -> dict:
    """Read the journal of the newest checkpoint as a dict, {} without one."""
    for path in reversed(files(run.checkpoints)):
        try:
            with open_zip(path) as archive:
                text = str(_array(archive, f"{JOURNAL}.npy"))
            return dataclasses.asdict(Journal(**json.loads(text)))
        except Exception as error:  # training reports damaged ones; here use the previous one
            if is_unreadable(error):  # it may be undamaged and the newest
                break
    return {}


def identify(run) -> dict:
    """Return `run`, `epoch` and `step` of the generator, None where not recorded."""
    if journal := read_journal(run):
        epoch, step = journal["step"] // journal["steps_per_epoch"], journal["step"]
    else:
        last = (read_lines(run.metrics) or [{}])[-1]
        epoch, step = last.get("epoch"), last.get("step")
    return {"run": run.root.resolve().name, "epoch": epoch, "step": step}
