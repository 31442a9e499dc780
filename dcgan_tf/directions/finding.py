"""Find a generator's directions and how far they reach; write their files."""

import json
import logging
import re

import numpy as np

from dcgan_tf.common.atomic_write import write_text
from dcgan_tf.common.directions import Directions, read_directions, write_directions
from dcgan_tf.common.errors import UserError
from dcgan_tf.common.files import make_directory
from dcgan_tf.common.foreign import read_json
from dcgan_tf.common.limits import counted
from dcgan_tf.common.progress import progress
from dcgan_tf.common.runs import Run
from dcgan_tf.directions.command import DirectionsRequest
from dcgan_tf.directions.first_layer import first_kernel, first_maps
from dcgan_tf.directions.found import Found
from dcgan_tf.directions.traversal import reach_of, save_strip
from dcgan_tf.directions.unlabeled import of_kernel, of_maps
from dcgan_tf.models.loading import load_generator
from dcgan_tf.models.sampling import Sampler, seed_latents

log = logging.getLogger(__name__)

SAMPLES = 1024  # first maps whose principal components are taken
LATENT_MOST = SAMPLES // 2  # numbers in a latent; more than a regression on them would bear


def find_directions(request: DirectionsRequest) -> Directions:
    """Find what is asked for, write it with its pictures, and say what was found.

    Returns:
        What `directions.npz` holds.

    Raises:
        UserError: a model that is no generator, or one of a kind that has no such directions.
    """
    sampler = load_generator(request.model, "--model")
    log.info(f"generator {request.model}, weights {sampler.sha256[:12]}")
    try:
        found = unlabelled(sampler, request.count)
        if request.attributes:
            from dcgan_tf.directions.labeled import labelled  # with all that reads pictures

            of_labels, refused = labelled(sampler, request)
            found += of_labels
        else:
            of_labels, refused = _known(Run(request.out), sampler)
            found += of_labels
    except UserError as error:
        flag = error.flag or f"--model {request.model}"
        raise UserError(error.message, flag=flag) from None
    return _write(request, sampler, found, refused)


def unlabelled(sampler: Sampler, count: int) -> list[Found]:
    """The directions that need no labels, `count` of each kind, latent_dim at most.

    Raises:
        UserError: the generator does not begin with a Dense, or has no activation within.
    """
    length = sampler.latent_dim
    if length > LATENT_MOST:
        raise UserError(f"has latents of {length:,} numbers, expected {LATENT_MOST:,} at most")
    count = min(count, length)
    latents = seed_latents(range(SAMPLES), length)
    kinds = {
        "kernel": of_kernel(first_kernel(sampler.model), count),
        "component": of_maps(first_maps(sampler.model, latents), latents, count),
    }
    found = []
    with progress(2 * count, "how far each direction reaches", "directions") as bar:
        for kind, (vectors, shares) in kinds.items():
            for number, (vector, share) in enumerate(zip(vectors, shares, strict=True), 1):
                facts = {"share": round(float(share), 6)}
                found.append(
                    Found(f"{kind} {number}", kind, vector, reach_of(sampler, vector), facts)
                )
                bar.update()
    return found


def _known(home, sampler):
    """The directions of attributes that lie there already for this generator: they cost minutes.

    Returns:
        (list of Found, dict): as `labelled`; nothing of files that cannot be read.
    """
    try:
        known = read_directions(home.directions, sampler, "--out")
        report = read_json(home.directions_report)
        facts = {record["name"]: record for record in report["directions"]}
        rows = zip(known.names, known.kinds, known.vectors, known.reach, strict=True)
        found = [
            Found(name, kind, vector, float(reach), _own_facts(facts[name]))
            for name, kind, vector, reach in rows
            if kind == "attribute"
        ]
        refused = dict(report["refused"])
    except (UserError, ValueError, LookupError, TypeError):
        return [], {}
    if found:
        log.info(f"{counted(len(found), 'direction')} of attributes, there already: kept")
    return found, refused


def _own_facts(record):
    return {key: record[key] for key in record.keys() - {"name", "kind", "reach", "picture"}}


def gather(found: list[Found], sha256: str) -> Directions:
    """What was found for the generator of this hash, as one file holds it."""
    return Directions(
        tuple(each.name for each in found),
        np.stack([each.vector for each in found]),
        tuple(each.kind for each in found),
        np.array([each.reach for each in found], np.float32),
        sha256,
    )


def _write(request, sampler, found, refused):
    """Directions: written, a picture of each first, and the report last."""
    directions = gather(found, sampler.sha256)
    home = Run(request.out)
    folder = home.directions_pictures
    make_directory(folder, "--out")
    files = _file_names([each.name for each in found])
    with progress(len(found), "drawing", "directions") as bar:
        for each, name in zip(found, files, strict=True):
            text = {"model_sha256": sampler.sha256, "direction": each.name}
            save_strip(folder / name, sampler, each.vector, each.reach, text)
            bar.update()
    write_directions(home.directions, directions)
    records = [
        {
            "name": each.name,
            "kind": each.kind,
            "reach": each.reach,
            "picture": f"{folder.name}/{name}",
        }
        | each.facts
        for each, name in zip(found, files, strict=True)
    ]
    report = {"generator": sampler.sha256, "directions": records, "refused": refused}
    write_text(home.directions_report, json.dumps(report, indent=1) + "\n")
    log.info(
        f"wrote {home.directions}: {counted(len(found), 'direction')}; "
        f"{home.directions_report.name} says what is known of each, {folder} shows it"
    )
    return directions


def _file_names(names):
    """list of str: a file for each direction, as it may be called anywhere, and none twice."""
    files = []
    for name in names:
        stem = re.sub(r"\W+", "_", name).strip("_")[:60] or "direction"
        taken = {file.lower() for file in files}
        numbered = (stem, *(f"{stem}_{n}" for n in range(2, len(names) + 2)))
        files.append(next(f"{s}.png" for s in numbered if f"{s}.png".lower() not in taken))
    return files
