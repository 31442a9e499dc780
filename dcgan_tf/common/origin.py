"""The data that a generator was trained on, according to its run, and the data's license."""

from dataclasses import dataclass
from pathlib import Path

from dcgan_tf.common.config import Config
from dcgan_tf.common.config_file import read_config
from dcgan_tf.common.datasets import DATASETS
from dcgan_tf.common.pretrained import PREFIX, run_named
from dcgan_tf.common.runs import LATEST, Run, find_again, run_of, started_in


@dataclass(frozen=True)
class Origin:
    """The run and the data that made a generator."""

    run: Run  # its run directory, or the folder that it lies in
    config: Config | None  # the settings there
    data: tuple[str, ...]  # data sets of its training and of the runs it started from
    complete: bool  # whether all of those runs were found

    @property
    def bound(self) -> str:
        """The data set whose license also applies to trained models, "" if unknown."""
        return next((name for name in self.data if DATASETS[name].terms), "")


def origin_of(model: Path) -> Origin:
    """Trace the origin of a generator's file; UserError where its config.toml cannot be read."""
    run = run_of(model)
    config = read_config(run.config) if run.config.is_file() else None
    data, complete = _data_sets(run, seen=())
    return Origin(run, config, tuple(dict.fromkeys(data)), complete)


def _data_sets(run, seen):
    """List the data sets of a run and of those it started from, and whether all were found."""
    root = run.root.resolve()
    if root in seen or not run.config.is_file():
        return [], False
    config = read_config(run.config)
    named, data, complete = _find_start(run, config), [config.dataset], True
    try:
        for before in _started_from(run, named):
            more, known = _data_sets(before, (*seen, root))
            data, complete = [*data, *more], complete and known
    except (OSError, ValueError):  # bundled networks of that name are gone, a damaged config
        complete = False
    return data, complete


def _find_start(run, config):
    """The value of init_from as seen from here; runs/latest, in older runs, is unknown by now."""
    if LATEST in Path(config.init_from.split(",")[0]).parts:
        return f"{config.init_from} as it was"
    return find_again(run, config, ("data", "label_table", "packs", "inception")).init_from


def _started_from(run, named):
    """Find the runs that a value of init_from names."""
    folder = started_in(run) or Path()
    if named.startswith(PREFIX):
        return [run_named(named, "--init-from")]
    if (folder / named).is_dir():
        return [Run(folder / named)] if named else []
    return [run_of(folder / name.strip()) for name in named.split(",")]
