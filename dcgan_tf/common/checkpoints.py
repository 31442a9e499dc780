"""The whole state of a training in one file, published by one rename, checked when it is read.

A checkpoint is `step_00001234.npz`: every variable of G, D, both optimizers and the metrics, and
the journal. NumPy alone can open it. It is either whole or not there; one that a disk has damaged
fails its checksum, and the one before it is taken.
"""

import contextlib
import dataclasses
import hashlib
import json
import logging
import zipfile
from dataclasses import dataclass, field

import numpy as np

from dcgan_tf.common.errors import UserError
from dcgan_tf.common.files import read_lines, replacing

log = logging.getLogger(__name__)

JOURNAL, SHA256 = "journal", "sha256"


@dataclass
class Journal:
    """How far a training has come.

    Attributes:
        steps_per_epoch: whole batches in the data.
        pixels_sha256: of the data.
        step: how many steps are done.
        history: one record for each finished epoch, as in metrics.jsonl.
        curve: the state of loss_plot.Curve; {} in checkpoints that are older than it.
    """

    steps_per_epoch: int
    pixels_sha256: str
    step: int = 0
    history: list = field(default_factory=list)
    curve: dict = field(default_factory=dict)

    @property
    def epoch(self):
        """int: how many epochs are done."""
        return self.step // self.steps_per_epoch


def variables(model):
    """dict: every variable that the rest of a training depends on, by name."""
    parts = {
        "generator": model.generator.variables,
        "discriminator": model.discriminator.variables,
        "g_optimizer": model.g_optimizer.variables,
        "d_optimizer": model.d_optimizer.variables,
        "metrics": [variable for metric in model.metrics for variable in metric.variables],
    }
    return {
        f"{part}/{number:03d}/{variable.name}": variable
        for part, members in parts.items()
        for number, variable in enumerate(members)
    }


def state_of(model):
    """dict of ndarray: the values of `variables(model)`."""
    return {name: variable.numpy() for name, variable in variables(model).items()}


def restore(model, state, parts=("",)):
    """Set the variables of `model` whose names start with one of `parts` to `state`.

    Raises:
        UserError: names or shapes differ, so the state is of another model.
    """
    own = variables(model)
    if own.keys() != state.keys() or any(own[n].shape != state[n].shape for n in own):
        raise UserError("the checkpoint is of another model; choose another --run directory")
    for name, variable in own.items():
        if name.startswith(parts):
            variable.assign(state[name])


def digest_of(state):
    """str: SHA-256 over names, types, shapes and values."""
    sha256 = hashlib.sha256()
    for name, value in sorted(state.items()):
        sha256.update(f"{name} {value.dtype} {value.shape}".encode())
        sha256.update(np.ascontiguousarray(value).tobytes())
    return sha256.hexdigest()


def write(folder, state, journal, keep):
    """Publish a checkpoint and delete all but the newest `keep`.

    Returns:
        Path: the file.
    """
    path = folder / f"step_{journal.step:08d}.npz"
    text = json.dumps(dataclasses.asdict(journal))
    state = {**state, JOURNAL: np.array(text)}
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez(file, **state, **{SHA256: np.array(digest_of(state))})
    for old in files(folder)[:-keep]:
        old.unlink(missing_ok=True)
    return path


def files(folder):
    """list[Path]: the checkpoints there are, oldest first."""
    return sorted(folder.glob("step_*.npz"))


def read(path):
    """Read and check one checkpoint.

    Returns:
        (dict of ndarray, Journal).

    Raises:
        ValueError: it is damaged; the message says how.
    """
    try:
        with np.load(path) as archive:
            content = {name: archive[name] for name in archive.files}
        expected = str(content.pop(SHA256))
        if digest_of(content) != expected:
            raise ValueError("its checksum does not match")
        return content, Journal(**json.loads(str(content.pop(JOURNAL))))
    except (OSError, EOFError, KeyError, zipfile.BadZipFile, TypeError) as error:
        raise ValueError(f"{type(error).__name__}: {error}") from None


def read_newest(folder):
    """The newest checkpoint that is whole.

    Damaged ones are set aside as `*.damaged`, with a message.

    Returns:
        (dict of ndarray, Journal), or None where there is no checkpoint yet.

    Raises:
        UserError: there are checkpoints, but none is whole.
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


def read_journal(run):
    """dict: `step`, `steps_per_epoch`, `pixels_sha256` of the newest checkpoint, {} without one."""
    for path in reversed(files(run.checkpoints)):
        try:
            with np.load(path) as archive:
                return json.loads(str(archive[JOURNAL]))
        except Exception:  # damaged; training says so, here the one before will do
            continue
    return {}


def identify(run):
    """dict: `run`, `epoch`, `step` of the generator; null where no checkpoint tells."""
    journal = read_journal(run)
    step = journal.get("step")
    epoch = step // journal["steps_per_epoch"] if journal else None
    if not journal and (lines := read_lines(run.metrics)):
        epoch, step = lines[-1]["epoch"], lines[-1]["step"]
    return {"run": run.root.resolve().name, "epoch": epoch, "step": step}
