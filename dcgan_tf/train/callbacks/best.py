"""best/: the generator with the best score so far, and that score."""

import json
import logging

import keras

from dcgan_tf.common.atomic_write import write_text
from dcgan_tf.common.foreign import BadFile, json_object, open_zip, read_json, read_member
from dcgan_tf.common.runs import Run
from dcgan_tf.common.scores import frechet_name, is_record, mismatch
from dcgan_tf.models.saving import save_network

log = logging.getLogger(__name__)

SCORE = "score.json"  # in the zip that best/generator.keras is, and next to it for people


def is_own(record) -> bool:
    """Whether this is a score of the training itself, with all that is read here."""
    return is_record(record) and record.get("by") == "training"


def distance_name(record: dict) -> str:
    """The name of a record's Fréchet distance, which each has."""
    return frechet_name(record) or "fid"


def restore_best(run: Run) -> dict | None:
    """The score of best/generator.keras, which that file holds; best/score.json is made again.

    In an older run it is in best/score.json alone.
    """
    if not run.best_generator.is_file():
        return None
    try:
        with open_zip(run.best_generator) as archive:
            if SCORE in archive.namelist():
                record = json_object(read_member(archive, SCORE))
            else:
                record = read_json(run.best_score)
    except BadFile as bad:
        record = {}
        log.debug(f"{run.best_generator}: {bad}")
    if not is_own(record):
        log.warning(f"{run.best_generator}: its score cannot be read; best/ starts anew")
        return None
    write_text(run.best_score, _as_text(record))
    return record


def is_best(best: dict | None, record: dict) -> bool:
    """Whether a score beats the best one, which starts anew when the protocol has changed."""
    if best is None:
        return True
    if why := mismatch(best, record):
        log.info(f"best/ starts anew: its score has another protocol ({why})")
        return True
    name = distance_name(record)
    return record[name] < best[name]


def publish_best(run: Run, generator: keras.Model, record: dict):
    """Put the generator into best/ with its score inside, and a copy of the score next to it."""
    run.best_generator.parent.mkdir(exist_ok=True)
    save_network(generator, run.best_generator, {SCORE: _as_text(record)})
    write_text(run.best_score, _as_text(record))


def _as_text(record):
    return json.dumps(record, indent=1) + "\n"
