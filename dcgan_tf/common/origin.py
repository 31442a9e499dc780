"""The data that a generator was trained on, according to its run, and the data's license."""

from dataclasses import dataclass
from pathlib import Path

from dcgan_tf.common.config import Config
from dcgan_tf.common.config_file import read_config
from dcgan_tf.common.datasets import DATASETS
from dcgan_tf.common.foreign import read_json
from dcgan_tf.common.pretrained import PREFIX, run_named
from dcgan_tf.common.runs import Run, find_again, lasting, run_of, started_in

ORIGIN = "origin.json"  # next to a generator that was exported: `data` and `complete` of Origin


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
    data, complete = [config.dataset], True
    if known := read_json(run.root / ORIGIN):  # of a folder without the runs it started from
        listed = known.get("data")
        listed = [str(name) for name in listed] if isinstance(listed, list) else [""]
        names = [name for name in listed if name in DATASETS]
        return [*data, *names], known.get("complete") is True and names == listed
    try:
        for before in _started_from(run, config):
            more, known = _data_sets(before, (*seen, root))
            data, complete = [*data, *more], complete and known
    except (OSError, ValueError):  # bundled networks of that name are gone, a damaged config
        complete = False
    return data, complete


def _started_from(run, config):
    """Find the runs that a run's init_from names; ValueError where that is unknown."""
    if not config.init_from:
        return []
    if config.init_from.startswith(PREFIX):
        return [run_named(config.init_from, "--init-from")]
    folder, others = started_in(run) or Path(), ("data", "label_table", "packs", "inception")
    for part in config.init_from.split(","):
        if lasting(str(folder / part)) != str(folder / part):
            raise ValueError(f"{part} may be another run by now")  # of older runs
    parts = find_again(run, config, others).init_from.split(",")
    found = [Path(part.strip()) for part in parts]
    found = [place if place.exists() else folder / place for place in found]
    return [Run(found[0])] if found[0].is_dir() else [run_of(place) for place in found]
