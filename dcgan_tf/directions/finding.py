"""Find the directions of a generator and write their files."""

import json
import logging
import re

from dcgan_tf.common.atomic_write import write_text
from dcgan_tf.common.directions import Directions, read_directions, write_directions
from dcgan_tf.common.errors import UserError
from dcgan_tf.common.files import make_directory
from dcgan_tf.common.foreign import read_json
from dcgan_tf.common.limits import counted
from dcgan_tf.common.progress import progress
from dcgan_tf.common.runs import Run
from dcgan_tf.directions.command import DirectionsRequest
from dcgan_tf.directions.traversal import Direction, gather, save_traversals
from dcgan_tf.directions.unlabeled import find_unlabeled
from dcgan_tf.models.loading import load_generator
from dcgan_tf.models.sampling import Sampler

log = logging.getLogger(__name__)


def find_directions(request: DirectionsRequest) -> Directions:
    """Find directions, write them with an image of each, and return what the file holds."""
    sampler = load_generator(request.model, "--model")
    log.info(f"generator {request.model}, weights {sampler.sha256[:12]}")
    _check_others(Run(request.out), sampler)
    try:
        found = find_unlabeled(sampler, request.count)
        if request.attributes:
            from dcgan_tf.directions.attributes import find_attributes

            of_labels, refused = find_attributes(request.attributes, request, sampler)
        else:
            of_labels, refused = _read_known(Run(request.out), sampler)
    except UserError as error:
        flag = error.flag or f"--model {request.model}"
        raise UserError(error.message, flag=flag) from None
    return _write(Run(request.out), sampler, found + of_labels, refused)


def _check_others(home, sampler):
    """Raise UserError for attribute directions of another generator, which took minutes."""
    report = read_json(home.directions_report)
    listed = report.get("directions")
    kinds = [each.get("kind") for each in listed if isinstance(each, dict)] if listed else []
    if "attribute" in kinds and report.get("generator", sampler.sha256) != sampler.sha256:
        words = "has attribute directions of another generator; name another folder with --out, or "
        words += f"delete its {home.directions_report.name}"
        raise UserError(words, flag=f"--out {home.root}")


def _read_known(home, sampler):
    """Read the attribute directions found earlier for this generator; none if that fails."""
    try:
        known = read_directions(home.directions, sampler, "--out")
        report = read_json(home.directions_report)
        facts = {record["name"]: record for record in report["directions"]}
        rows = zip(known.names, known.kinds, known.vectors, map(float, known.reach), strict=True)
        found = [Direction(*row, facts[row[0]]) for row in rows if row[1] == "attribute"]
        refused = dict(report["refused"])
    except (UserError, ValueError, LookupError, TypeError):
        return [], {}
    if found:
        log.info(f"{counted(len(found), 'attribute direction')} found earlier and kept")
    return found, refused


def _write(home: Run, sampler: Sampler, found, refused):
    """Write an image of each direction, then `directions.npz`, and the report last."""
    directions = gather(found, sampler.sha256)
    folder = home.directions_pictures
    make_directory(folder, "--out")
    records, files = [], set()
    with progress(len(found), "drawing", "directions") as bar:
        for each in found:
            stem = re.sub(r"\W+", "_", each.name).strip("_")[:60] or "direction"
            while stem.lower() in files:  # some file systems ignore case
                stem += "_"
            files.add(stem.lower())
            save_traversals(folder / f"{stem}.png", sampler, each)
            known = {"name": each.name, "kind": each.kind, "reach": each.reach}
            known["picture"] = f"{folder.name}/{stem}.png"
            records.append(known | each.facts | known)  # facts of a kept one have these keys, too
            bar.update()
    write_directions(home.directions, directions)
    report = {"generator": sampler.sha256, "directions": records, "refused": refused}
    write_text(home.directions_report, json.dumps(report, indent=1) + "\n")
    log.info(
        f"wrote {home.directions}: {counted(len(found), 'direction')}; images in {folder}, "
        f"details in {home.directions_report}"
    )
    return directions
