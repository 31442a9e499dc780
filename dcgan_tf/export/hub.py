"""Fill a folder that can be uploaded to a model hub as it is."""

import json
import logging
import shutil
from pathlib import Path

from dcgan_tf.common import limits
from dcgan_tf.common.atomic_write import write_text
from dcgan_tf.common.config_file import to_toml, without_places
from dcgan_tf.common.directions import NAME as DIRECTIONS
from dcgan_tf.common.directions import read_directions, write_directions
from dcgan_tf.common.errors import UserError
from dcgan_tf.common.foreign import BadFile, read_file
from dcgan_tf.common.images import default_scale, enlarge, save_png
from dcgan_tf.common.labels import ENTRY
from dcgan_tf.common.origin import ORIGIN, Origin, origin_of
from dcgan_tf.common.pretrained import home_of
from dcgan_tf.common.suggestions import path_flag
from dcgan_tf.directions.traversal import gather
from dcgan_tf.directions.unlabeled import find_unlabeled
from dcgan_tf.explore.exploration import HINT, license_of
from dcgan_tf.explore.page import describe, hash_of, write_static
from dcgan_tf.explore.runtime import is_kept
from dcgan_tf.export.card import name_of, write_card
from dcgan_tf.export.command import HUB, ExportRequest
from dcgan_tf.export.formats import FORMATS
from dcgan_tf.models.sampling import Sampler

log = logging.getLogger(__name__)

EXPLORER = "explorer.html"
FILES = [
    "README.md",
    "config.toml",
    "grid.png",
    ENTRY,
    DIRECTIONS,
    EXPLORER,
    ORIGIN,
]  # that a folder can have
FILES += [FORMATS[name].file for name in ("keras", "onnx")]
SHOWN = 64  # images in the grid
COUNT = 8  # directions of each kind that need no labels


def check_license(request: ExportRequest) -> Origin:
    """Trace what a generator was trained on; refuse a license that this does not allow."""
    origin = origin_of(request.model)
    if request.licence and origin.bound:
        raise UserError(
            f"it was trained on {origin.bound} or started from networks that were, whose license "
            "holds for what is trained on it; leave the flag out",
            flag=f"--license {request.licence}",
        )
    return origin


def formats_of_hub() -> list[str]:
    """List the formats of the folder: ONNX only where its packages are installed."""
    if why := FORMATS["onnx"].missing():
        log.warning(f"{HUB}: without a model in ONNX: {why}")
        return ["keras"]
    return ["keras", "onnx"]


def write_hub(folder: Path, request: ExportRequest, sampler: Sampler, origin: Origin):
    """Add to the formats in the folder what describes the generator, and its card."""
    canvas, text = sampler.grid(SHOWN)
    text |= {"model_sha256": sampler.sha256}
    save_png(folder / "grid.png", enlarge(canvas, default_scale(canvas.shape[1])), text)
    if sampler.labels:
        write_text(folder / ENTRY, sampler.labels.to_json())
    if origin.config:
        write_text(folder / "config.toml", to_toml(without_places(origin.config)))
        known = {"data": origin.data, "complete": origin.complete}
        write_text(folder / ORIGIN, json.dumps(known) + "\n")
    homes = dict.fromkeys((home_of(request.model), origin.run.root))
    directions, kept = _find_directions([home / DIRECTIONS for home in homes], sampler)
    if directions:
        write_directions(folder / DIRECTIONS, directions)
    marks = sampler.sha256[:12], *([hash_of(directions)] if kept else [])
    page = next((home / EXPLORER for home in homes if _has(home / EXPLORER, marks)), None)
    if page:
        shutil.copyfile(page, folder / EXPLORER)
    elif FORMATS["onnx"].missing() or not is_kept():  # nothing is downloaded without being asked
        static = path_flag("--static", home_of(request.model) / EXPLORER)
        log.info(
            f"{HUB}: without {EXPLORER}; to include it, first run python -m dcgan_tf.explore "
            f"{path_flag('--model', request.model)} {static}"
        )
    else:
        name = name_of(request.model, origin.run)
        about = describe(name, sampler, directions, HINT, license_of(request.model))
        write_static(folder / EXPLORER, sampler, about, folder=None)
    write_card(folder, request, sampler, origin)


def _has(page, marks):
    try:
        content = read_file(page, 4 * limits.FILE_BYTES)
        return all(mark.encode() in content for mark in marks)
    except BadFile:
        return False


def _find_directions(paths, sampler):
    """Read the run's directions for these weights, or find some that need no labels.

    Returns:
        The directions, None if there are none, and whether they are the run's.
    """
    for path in filter(Path.is_file, paths):
        try:
            return read_directions(path, sampler, ""), True
        except UserError as error:
            log.warning(f"{HUB}: left out {error}")
    try:
        return gather(find_unlabeled(sampler, COUNT), sampler.sha256), False
    except UserError as error:
        log.warning(f"{HUB}: without {DIRECTIONS}: the generator {error}")
        return None, False
