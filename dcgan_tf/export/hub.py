"""A folder that can be uploaded to a model hub as it is."""

import logging
import shutil
from collections.abc import Callable
from pathlib import Path

from dcgan_tf.common import limits
from dcgan_tf.common.atomic_write import write_text
from dcgan_tf.common.config_file import to_toml, without_places
from dcgan_tf.common.directions import NAME as DIRECTIONS
from dcgan_tf.common.directions import read_directions, write_directions
from dcgan_tf.common.errors import UserError
from dcgan_tf.common.foreign import BadFile, read_file
from dcgan_tf.common.images import default_scale, enlarge, grid, save_png
from dcgan_tf.common.origin import origin_of
from dcgan_tf.common.pretrained import home_of
from dcgan_tf.common.suggestions import path_flag
from dcgan_tf.directions.finding import gather
from dcgan_tf.directions.unlabeled import find_unlabeled
from dcgan_tf.explore.exploration import HINT, licence_of
from dcgan_tf.explore.page import describe, write_static
from dcgan_tf.explore.runtime import is_kept
from dcgan_tf.export.card import CARD, card, name_of
from dcgan_tf.export.command import HUB, ExportRequest
from dcgan_tf.export.formats import FORMATS
from dcgan_tf.models.sampling import Sampler

log = logging.getLogger(__name__)

EXPLORER = "explorer.html"
SHOWN = range(64)  # seeds in the grid
COUNT = 8  # directions of each kind that need no labels


class Hub:
    """Content of the folder.

    Raises:
        UserError: a license that the data do not allow, or a config.toml that cannot be read.
    """

    def __init__(self, request: ExportRequest, sampler: Sampler):
        self._sampler, self._model, self._licence = sampler, request.model, request.licence
        self._origin = origin_of(request.model)
        if request.licence and (bound := self._origin.bound):
            raise UserError(
                f"it was trained on {bound} or started from networks that were, whose licence "
                "holds for what is trained on it; leave the flag out",
                flag=f"--license {request.licence}",
            )

    def write(self, folder: Path, add: Callable[[str], object]):
        """Fill the folder, which is there; `add` writes a format into it."""
        add("keras")
        if why := FORMATS["onnx"].missing():
            log.warning(f"{HUB}: without a model in ONNX: {why}")
        else:
            add("onnx")
        canvas = grid(self._sampler.generate(SHOWN))
        text = {"model_sha256": self._sampler.sha256, "seeds": f"0-{SHOWN[-1]}"}
        save_png(folder / "grid.png", enlarge(canvas, default_scale(canvas.shape[1])), text)
        if self._origin.config:
            write_text(folder / "config.toml", to_toml(without_places(self._origin.config)))
        if not self._copied(DIRECTIONS, folder):
            self._save_directions(folder / DIRECTIONS)
        if not self._copied(EXPLORER, folder):
            self._save_explorer(folder)
        files = [path.name for path in folder.iterdir()]
        text = card(self._model, self._sampler, self._origin, self._licence, files)
        write_text(folder / CARD, text)

    def _save_directions(self, path):
        """Those that need no labels: seconds."""
        try:
            found = find_unlabeled(self._sampler, COUNT)
        except UserError as error:
            log.warning(f"{HUB}: without {DIRECTIONS}: the generator {error}")
            return
        write_directions(path, gather(found, self._sampler.sha256))

    def _save_explorer(self, folder):
        """The page, where all that it needs is here: nothing is fetched without being asked for."""
        if FORMATS["onnx"].missing() or not is_kept():
            page = path_flag("--static", home_of(self._model) / EXPLORER)
            log.info(
                f"{HUB}: without {EXPLORER}; with it, if before this you run "
                f"python -m dcgan_tf.explore {path_flag('--model', self._model)} {page}"
            )
            return
        path = folder / DIRECTIONS
        directions = read_directions(path, self._sampler, "") if path.is_file() else None
        name = name_of(self._model, self._origin.run)
        about = describe(name, self._sampler, directions, HINT, licence_of(self._model))
        write_static(folder / EXPLORER, self._sampler, about, folder=None)

    def _copied(self, name, folder) -> bool:
        """Copy a file of the run, if there is one for this generator."""
        homes = dict.fromkeys((home_of(self._model), self._origin.run.root))
        for path in filter(Path.is_file, (home / name for home in homes)):
            if self._is_ours(path):
                shutil.copyfile(path, folder / name)
                return True
            log.warning(f"{path}: made for other weights, left out; make it anew")
        return False

    def _is_ours(self, path):
        try:
            if path.name == EXPLORER:
                return self._sampler.sha256[:12].encode() in read_file(path, 4 * limits.FILE_BYTES)
            return bool(read_directions(path, self._sampler, "").names)
        except (BadFile, UserError):
            return False
