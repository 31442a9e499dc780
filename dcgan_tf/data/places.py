"""Find the images of a config: what --data names, or the usual places; check their number."""

from pathlib import Path

from dcgan_tf.common.config import Config
from dcgan_tf.common.datasets import DATASETS, FETCHED
from dcgan_tf.common.errors import UserError
from dcgan_tf.common.foreign import reason
from dcgan_tf.common.limits import counted
from dcgan_tf.common.suggestions import typed

DRAWN = "drawn by this program"
FEWEST = 8  # images of a training; of fewer nothing is learned but these


def find(config: Config) -> Path | str:
    """Find what --data names, or the first usual place that exists: `where` of the source.

    A text instead of a path is fetched: "SERVICE:NAME", or an address.

    Raises:
        UserError: nothing there; the message gives the ways to mend it.
    """
    name, data = config.dataset, config.data
    if name == "demo":
        if data:
            raise UserError(
                "dataset demo draws its own images; leave this out, or name another data set",
                flag=f"--data {data}",
            )
        return DRAWN
    if data in FETCHED:
        if there := getattr(DATASETS[name], data):
            return f"{data}:{there}"
        known = ", ".join(other for other in DATASETS if getattr(DATASETS[other], data))
        raise UserError(
            f"there is no data set {name!r} there, only {known}; give a folder or a zip "
            f"(a folder of this name is written ./{data})",
            flag=f"--data {data}",
        )
    return _find_named(data) if data else _find_usual(name)


def _find_named(data):
    try:
        path = Path(data).expanduser()
        path.stat()
    except RuntimeError as error:  # ~nobody, or no home directory
        raise UserError(f"{error}; write the path without ~", flag=f"--data {data}") from None
    except OSError as error:
        missing = isinstance(error, (FileNotFoundError, NotADirectoryError))
        why = "no such file or folder" if missing else f"cannot be read ({reason(error)})"
        raise UserError(why, flag=f"--data {data}") from None
    return path


def _find_usual(name):
    for pattern in DATASETS[name].places:
        try:
            path = Path(pattern).expanduser()
        except RuntimeError:  # no home directory: nothing can lie there
            continue
        for match in sorted(Path(path.anchor).glob(str(path.relative_to(path.anchor)))):
            if match.is_file() or any(match.iterdir()):
                return match
    if name in ("folder", "auto"):
        raise UserError(f"dataset {name} needs a folder or zip of your images", param="data")
    if name == "celeba":
        raise UserError(
            "no CelebA found in the usual places (docs/data.md); give archive.zip (from "
            f"{DATASETS[name].page}), its unpacked folder, kaggle or tfds (both download it); "
            f"without any data, try: {typed('train')} --config demo",
            param="data",
        )
    return DATASETS[name].url


def is_fetched(config: Config) -> bool:
    """Tell whether the images are downloaded first, or are where an earlier download left them."""
    if config.data not in ("", *FETCHED):  # a path, which may be seen from another directory
        return False
    place = find(config)
    return isinstance(place, str) and place != DRAWN


def check_batch(count: int, flag: str, batch_size: int) -> None:
    """Raise UserError, naming `flag`, where `count` images do not fill a batch."""
    if count < batch_size:
        advice = f"use {count} or fewer" if count > 1 else "a batch needs 2 or more: add images"
        raise UserError(
            f"larger than the data, {counted(count, 'image')}; {advice}",
            flag=f"{flag} {batch_size}",
        )
