"""A folder that can be uploaded to a model hub as it is."""

import logging
import re
import shutil
from dataclasses import replace
from pathlib import Path

from dcgan_tf.common import limits
from dcgan_tf.common.atomic_write import write_text
from dcgan_tf.common.config_file import to_toml, without_places
from dcgan_tf.common.directions import NAME as DIRECTIONS
from dcgan_tf.common.directions import read_directions, write_directions
from dcgan_tf.common.errors import UserError
from dcgan_tf.common.foreign import BadFile, is_count, read_file, read_json, read_lines
from dcgan_tf.common.images import default_scale, enlarge, grid, save_png
from dcgan_tf.common.origin import origin_of
from dcgan_tf.common.pretrained import FOLDER, home_of
from dcgan_tf.common.runs import Run
from dcgan_tf.common.scores import frechet_name, is_verdict, read_records
from dcgan_tf.common.suggestions import path_flag
from dcgan_tf.directions.finding import gather
from dcgan_tf.directions.unlabeled import find_unlabeled
from dcgan_tf.explore.exploration import HINT, licence_of
from dcgan_tf.explore.page import describe
from dcgan_tf.explore.runtime import is_kept
from dcgan_tf.explore.static import write_static
from dcgan_tf.export.card import Facts, card
from dcgan_tf.export.command import HUB, ExportRequest
from dcgan_tf.export.formats import FORMATS
from dcgan_tf.models.pixels import range_of
from dcgan_tf.models.sampling import Sampler

log = logging.getLogger(__name__)

GRID, EXPLORER, CARD, CONFIG = "grid.png", "explorer.html", "README.md", "config.toml"
SHOWN = range(64)  # seeds in the grid
COUNT = 8  # directions of each kind that need no labels


class Hub:
    """What is put into the folder.

    Args:
        request: what was asked for; sampler: the generator.

    Raises:
        UserError: a licence that its data do not allow, or a config.toml that cannot be read.
    """

    def __init__(self, request: ExportRequest, sampler: Sampler):
        self._sampler, self._model = sampler, request.model
        self._origin = origin_of(request.model)
        self._homes = (home_of(request.model), self._origin.run.root)
        if request.licence and (bound := self._origin.bound):
            raise UserError(
                f"it was trained on {bound} or started from networks that were, whose licence "
                "holds for what is trained on it; leave the flag out",
                flag=f"--license {request.licence}",
            )
        run = self._origin.run
        self._facts = Facts(
            name=_name(request.model, run),
            origin=self._origin,
            picture_shape=sampler.picture_shape,
            latent_dim=sampler.latent_dim,
            activation=range_of(sampler.model),
            parameters=sampler.model.count_params(),
            sha256=sampler.sha256,
            seen=_seen(request.model, run),
            records=_scores(run, sampler.sha256),
            memorisation=_verdict(run, sampler.sha256),
            licence=request.licence,
            told=_told(run),
        )

    def write(self, exporter, folder: Path) -> list:
        """Fill the folder, which is made here.

        Args:
            exporter: writes and checks the formats.

        Returns:
            The rows of the formats in it.
        """
        folder.mkdir()
        rows = [exporter.add(FORMATS["keras"], folder)]
        if why := FORMATS["onnx"].missing():
            log.warning(f"{HUB}: without a model in ONNX: {why}")
        else:
            rows.append(exporter.add(FORMATS["onnx"], folder))
        self._save_grid(folder / GRID)
        if self._origin.config:
            write_text(folder / CONFIG, to_toml(without_places(self._origin.config)))
        if not self._copied(DIRECTIONS, self._is_ours, folder):
            self._save_directions(folder / DIRECTIONS)
        if not self._copied(EXPLORER, self._shows_ours, folder):
            self._save_explorer(folder)
        files = tuple(sorted(path.name for path in folder.iterdir()))
        write_text(folder / CARD, card(replace(self._facts, files=files)))
        return [replace(row, file=f"{HUB}/{row.file}") for row in rows]

    def _save_grid(self, path):
        canvas = grid(self._sampler.generate(SHOWN))
        text = {"model_sha256": self._sampler.sha256, "seeds": f"0-{SHOWN[-1]}"}
        save_png(path, enlarge(canvas, default_scale(canvas.shape[1])), text)

    def _save_directions(self, path):
        """Those that need no labels: seconds."""
        try:
            found = find_unlabeled(self._sampler, COUNT)
        except UserError as error:
            log.warning(f"{HUB}: without {DIRECTIONS}: the generator {error}")
            return
        write_directions(path, gather(found, self._sampler.sha256))

    def _save_explorer(self, folder):
        """The page, where all that it needs is here: nothing is fetched that nobody asked for."""
        if FORMATS["onnx"].missing() or not is_kept():
            model, page = path_flag("--model", self._model), self._homes[0] / EXPLORER
            log.info(
                f"{HUB}: without {EXPLORER}; with it, if before this you run "
                f"python -m dcgan_tf.explore {model} {path_flag('--static', page)}"
            )
            return
        path = folder / DIRECTIONS
        directions = self._directions_in(path) if path.is_file() else None
        licence = licence_of(self._model)
        about = describe(self._facts.name, self._sampler, directions, HINT, licence)
        write_static(folder / EXPLORER, self._sampler, directions, about, folder=None)

    def _copied(self, name, is_ours, folder):
        """bool: whether there is a file of the run that was made for this generator, now here."""
        homes = dict.fromkeys(self._homes)
        for path in filter(Path.is_file, (home / name for home in homes)):
            if is_ours(path):
                shutil.copyfile(path, folder / name)
                return True
            log.warning(f"{path}: made for other weights, left out; make it anew")
        return False

    def _directions_in(self, path):
        return read_directions(path, self._sampler, "directions")

    def _is_ours(self, path):
        try:
            return bool(self._directions_in(path).names)
        except UserError:
            return False

    def _shows_ours(self, path):
        try:
            return self._sampler.sha256[:12].encode() in read_file(path, 4 * limits.FILE_BYTES)
        except BadFile:
            return False


def _name(model, run):
    """str: what the card calls the generator."""
    if run.root.parent == FOLDER or run.config.is_file():
        return run.root.resolve().name
    return model.stem


def _told(run):
    """dict: {heading: text} of the card that trained networks of the package have already.

    Their training had parts, of which the settings beside them know the last.
    """
    if run.root.parent != FOLDER or not (run.root / CARD).is_file():
        return {}
    text = (run.root / CARD).read_text(encoding="utf-8")
    return dict(re.findall(r"^- \*\*(\w+)\*\*: (.*)$", text, re.MULTILINE))


def _seen(model, run):
    """dict: the epoch and the images seen of the generator in this file, {} where not known."""
    names = ("epoch", "images_seen")
    records = [r for r in read_lines(run.metrics) if all(is_count(r.get(n)) for n in names)]
    if model.absolute() == run.best_generator.absolute():
        epoch = read_json(run.best_score).get("epoch")
        records = [record for record in records if record["epoch"] == epoch]
    elif model.absolute() != run.generator.absolute():
        return {}
    return {name: records[-1][name] for name in names} if records else {}


def _scores(run: Run, sha256):
    """The newest record of each Fréchet distance that was measured of these very weights."""
    newest = {}
    for record in read_records(run.evaluation):
        if record["protocol"].get("generator_sha256") == sha256:
            newest[frechet_name(record)] = record
    return tuple(newest.values())


def _verdict(run, sha256):
    """dict: memorisation.json, {} where there is none of these weights."""
    record = read_json(run.memorisation)
    right = is_verdict(record) and record.get("generator_sha256") == sha256
    return record if right else {}
