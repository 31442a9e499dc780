"""Whose pictures made a generator, as far as its run tells, and what their licence allows."""

from dataclasses import dataclass
from pathlib import Path

from dcgan_tf.common.config import Config
from dcgan_tf.common.config_file import read_config
from dcgan_tf.common.datasets import DATASETS
from dcgan_tf.common.errors import UserError
from dcgan_tf.common.files import json_object
from dcgan_tf.common.pretrained import FOLDER, run_named
from dcgan_tf.common.runs import Run


@dataclass(frozen=True)
class Origin:
    """What a generator learned from.

    Attributes:
        run: its run directory, or the folder that it lies in; config: the settings there, None
            where there are none.
        data: names of data sets, of its own training and of those that it started from.
        complete: whether these are all; False where a training that it started from is not here.
    """

    run: Run
    config: Config | None
    data: tuple[str, ...]
    complete: bool

    @property
    def bound(self) -> str:
        """The data set whose licence binds what is trained on it, "" where none is known."""
        return next((name for name in self.data if DATASETS[name].terms), "")


def origin_of(model: Path) -> Origin:
    """The origin of a generator's file.

    Raises:
        UserError: a config.toml beside it that cannot be read.
    """
    run = _run_of(model)
    config = read_config(run.config) if run.config.is_file() else None
    data, complete = _data_sets(run, seen=())
    return Origin(run, config, tuple(dict.fromkeys(data)), complete)


def _run_of(model):
    folder = model.absolute().parent
    above = Run(folder.parent)
    if above.best_generator.parent == folder and above.config.is_file():
        return above
    return Run(folder)


def _data_sets(run, seen):
    """The data sets of a run and of those before it, and whether all of them were found."""
    root = run.root.resolve()
    if root in seen or not run.config.is_file():
        return [], False
    config = read_config(run.config)
    if not config.init_from:
        return [config.dataset], True
    try:
        earlier = _started_from(run, config.init_from)
        data, complete = _data_sets(earlier, (*seen, root))
    except (UserError, OSError, ValueError):  # networks of that name are gone, or a damaged config
        data, complete = [], False
    return [config.dataset, *data], complete


def _started_from(run, named):
    """Run: what --init-from named, from where the command was typed."""
    found = run_named(named.split(",")[0], "--init-from")
    if found.root.parent == FOLDER:
        return found
    try:
        typed_in = Path(json_object(run.versions.read_bytes())["directory"])
    except (OSError, KeyError, TypeError):
        typed_in = Path()
    root = typed_in / found.root
    return Run(root) if root.is_dir() else Run(root.parent)
