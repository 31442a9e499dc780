"""Checkpoints: the whole state of a training in one file, published by one rename.

A checkpoint is `step_00001234.npz`: every variable of G, D, both optimizers and the metrics, and
the journal. NumPy alone can open it. One that a disk has damaged fails its checksum, and the one
before it is taken.
"""

import contextlib
import dataclasses
import hashlib
import json
import logging
import os
import re
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from dcgan_tf.common.atomic_write import replacing
from dcgan_tf.common.errors import UserError, is_unreadable
from dcgan_tf.common.foreign import open_zip, read_array, read_lines

log = logging.getLogger(__name__)

JOURNAL, SHA256 = "journal", "sha256"


@dataclass
class Journal:
    """Progress of a training.

    Attributes:
        steps_per_epoch: whole batches in the data.
        pixels_sha256: of the data.
        step: number of steps done.
        history: one record for each finished epoch, as in metrics.jsonl.
        computing: computing.computing of the last steps; {} in older checkpoints, as the next two.
        curve: the state of loss_plot.Curve.
        settings: config.bound_fields, with which it was trained.
    """

    steps_per_epoch: int
    pixels_sha256: str
    step: int = 0
    history: list = field(default_factory=list)
    computing: dict = field(default_factory=dict)
    curve: dict = field(default_factory=dict)
    settings: dict = field(default_factory=dict)

    @property
    def epoch(self) -> int:
        """Number of epochs done."""
        return self.step // self.steps_per_epoch

    @property
    def done_in_epoch(self) -> int:
        """Number of steps done in an epoch that is not finished."""
        return self.step % self.steps_per_epoch if self.steps_per_epoch else 0


def variables(model) -> dict:
    """Name every variable that the rest of a training depends on."""
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
    own = {_place(name): variable for name, variable in variables(model).items()}
    state = {_place(name): value for name, value in state.items()}
    if own.keys() != state.keys() or any(own[n].shape != state[n].shape for n in own):
        raise UserError("the checkpoint is of another model; choose another --run directory")
    for name, variable in own.items():
        if name.startswith(parts):
            variable.assign(state[name])


def _place(name):
    """Drop the layer from a variable's name: Keras numbers layers through a process."""
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
    """Publish a checkpoint and delete all but the newest `keep`."""
    path = folder / f"step_{journal.step:08d}.npz"
    text = json.dumps(dataclasses.asdict(journal))
    state = {**state, JOURNAL: np.array(text)}
    with replacing(path) as temporary, temporary.open("wb") as file:
        content: dict = {**state, SHA256: np.array(digest_of(state))}
        np.savez(file, **content)
    for old in files(folder)[:-keep]:
        old.unlink(missing_ok=True)
    return path


def files(folder: Path) -> list[Path]:
    """List the checkpoints, oldest first; files with other names are none."""
    try:
        inside = [folder / name for name in os.listdir(folder)]
    except (FileNotFoundError, NotADirectoryError):
        return []
    found = [(step, path) for path in inside if (step := step_of(path)) is not None]
    return [path for _, path in sorted(found)]


def step_of(path: Path) -> int | None:
    """Read the step of a checkpoint from its name; None where it is no checkpoint."""
    match = re.fullmatch(r"step_([0-9]{8,18})\.npz", path.name)
    step = int(match[1]) if match else -1
    return step if path.name == f"step_{step:08d}.npz" and path.is_file() else None


def read(path: Path) -> tuple[dict[str, np.ndarray], Journal]:
    """Read and check one checkpoint, in no more memory than the file is long.

    Raises:
        ValueError: it is damaged; the message says how.
        OSError, MemoryError: it cannot be read now, and may be whole.
    """
    try:
        with open_zip(path) as archive:
            content = {entry.filename[:-4]: _array(archive, entry) for entry in archive.filelist}
            if len(content) < len(archive.filelist):
                raise ValueError("two entries of one name")
        expected = str(content.pop(SHA256))
        if digest_of(content) != expected:
            raise ValueError("its checksum does not match")
        return content, Journal(**json.loads(str(content.pop(JOURNAL))))
    except Exception as error:  # zipfile, zlib and NumPy raise many kinds for what is no checkpoint
        if is_unreadable(error):
            if isinstance(error, OSError):  # a failing read does not say of which file
                error.filename = str(path)
            raise
        raise ValueError(f"{type(error).__name__}: {error}") from None


def _array(archive, entry):
    """Read one `.npy` of an archive, if it claims neither more nor less than is there."""
    if entry.compress_type != zipfile.ZIP_STORED or entry.file_size != entry.compress_size:
        raise ValueError(f"{entry.filename} is packed, which no checkpoint of ours is")
    if entry.file_size > archive.start_dir:
        raise ValueError(f"{entry.filename} claims more than the file has")
    return read_array(archive.read(entry))


def read_newest(folder: Path) -> tuple[dict[str, np.ndarray], Journal] | None:
    """Read the newest checkpoint that is whole; None where there is no checkpoint yet.

    Damaged ones are set aside as `*.damaged`, with a message.

    Raises:
        UserError: there are checkpoints, but none is whole.
        OSError, MemoryError: one cannot be read now; nothing is set aside then.
    """
    damaged = []
    for path in reversed(files(folder)):
        try:
            found = read(path)
        except ValueError as error:
            log.warning(f"{path} is damaged ({error}); trying the one before it")
            damaged.append(path)
            continue
        for bad in damaged:
            with contextlib.suppress(FileNotFoundError):  # another worker was faster
                bad.rename(bad.with_suffix(".damaged"))
        return found
    if damaged:
        raise UserError(
            f"no checkpoint in {folder} is whole ({len(damaged)} damaged); "
            "start anew in another --run directory, with --init-from the old one's networks"
        )
    return None


def read_journal(run) -> dict:
    """Read the journal of the newest checkpoint as a dict, {} without one."""
    for path in reversed(files(run.checkpoints)):
        try:
            with open_zip(path) as archive:
                text = _array(archive, archive.getinfo(f"{JOURNAL}.npy"))
            return dataclasses.asdict(Journal(**json.loads(str(text))))
        except Exception as error:
            if is_unreadable(error):  # it may be whole: no other is the newest
                break
            continue  # damaged; training says so, here the one before will do
    return {}


def identify(run) -> dict:
    """Tell `run`, `epoch`, `step` of the generator; None where no checkpoint tells."""
    journal = read_journal(run)
    step = journal.get("step")
    epoch = step // journal["steps_per_epoch"] if journal else None
    if not journal and (lines := read_lines(run.metrics)):
        epoch, step = lines[-1].get("epoch"), lines[-1].get("step")
    return {"run": run.root.resolve().name, "epoch": epoch, "step": step}
