"""The bundled networks, each a run directory with a card."""

from pathlib import Path

from dcgan_tf.common import limits
from dcgan_tf.common.errors import UserError
from dcgan_tf.common.runs import RUNS, Run
from dcgan_tf.common.suggestions import meant

FOLDER = Path(__file__).parents[1] / "pretrained"
PREFIX = "pretrained:"  # before a name where a path could stand too


def names() -> list[str]:
    """What there is, such as `faces`."""
    return sorted(path.parent.name for path in FOLDER.glob("*/generator.keras"))


def pretrained(name: str, flag: str) -> Run:
    """The run directory of trained networks; read it, write nothing there.

    Args:
        name: one of `names()`; flag: what named it, for the message.

    Raises:
        UserError: there is none of that name.
    """
    if name not in names():
        near = meant(name, names())
        raise UserError(
            f"{flag}: unknown networks {limits.shown(name)}; "
            + (f"did you mean {near}?" if near else f"there are: {', '.join(names()) or 'none'}")
        )
    return Run(FOLDER / name)


def run_named(named: str, flag: str) -> Run:
    """The run of a path, or of `pretrained:NAME`.

    Raises:
        UserError: there are no networks of that name. A path is not looked at.
    """
    if named.startswith(PREFIX):
        return pretrained(named.removeprefix(PREFIX), flag)
    return Run(named)


def home_of(model: Path) -> Path:
    """The folder of the run that a generator belongs to, else the one that it lies in.

    Nothing is written into the package: for what comes with it there is a folder among the runs.

    Args:
        model: the generator's file.
    """
    folder = model.absolute().parent
    if folder.parent == FOLDER:
        return RUNS / f"pretrained-{folder.name}"
    run = Run(folder.parent)
    if run.best_generator.parent == folder and (run.config.is_file() or run.generator.is_file()):
        return model.parent.parent if len(model.parts) > 2 else run.root
    return model.parent
