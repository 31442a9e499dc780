"""best/: the generator with the best score so far, and that score."""

import json
import logging

from dcgan_tf.common.atomic_write import write_text
from dcgan_tf.common.errors import is_unreadable
from dcgan_tf.common.scores import frechet_name, is_record, mismatch, parse_record
from dcgan_tf.common.zips import open_zip
from dcgan_tf.models.saving import save_network

log = logging.getLogger(__name__)

SCORE = "score.json"  # in the zip that best/generator.keras is, and beside it for people
MOST_BYTES = 1_000_000  # that are read of it; a record has 2,000


def is_own(record):
    """bool: a score of the training itself, with all that is looked at here."""
    return is_record(record) and record.get("by") == "training"


def read_best(run):
    """dict | None: the score of best/generator.keras, which that file holds.

    In an older run it is in best/score.json alone.
    """
    if not run.best_generator.is_file():
        return None
    try:
        with open_zip(run.best_generator) as archive:
            if SCORE in archive.namelist():
                text = archive.open(SCORE).read(MOST_BYTES)
            else:
                text = run.best_score.read_bytes()
    except Exception as error:  # zipfile raises many kinds of them
        if is_unreadable(error):  # it may be whole, and the best there is
            raise
        text = b""
        log.debug(f"{run.best_generator}: {type(error).__name__}: {error}")
    record = parse_record(text)
    if is_own(record):
        return record
    log.warning(f"{run.best_generator}: its score cannot be read; best/ starts anew")
    return None


def restore_best(run):
    """read_best, after best/score.json was made again, should it be damaged or an older one."""
    best = read_best(run)
    if best:
        write_text(run.best_score, _as_text(best))
    return best


def is_best(best, record):
    """bool: whether a score beats the best one, which starts anew when the protocol has changed."""
    if best is None:
        return True
    if why := mismatch(best, record):
        log.info(f"best/ starts anew: its score has another protocol ({why})")
        return True
    name = frechet_name(record)
    return record[name] < best[name]


def publish_best(run, generator, record):
    """Put the generator into best/ with its score inside, and a copy of the score beside it."""
    run.best_generator.parent.mkdir(exist_ok=True)
    save_network(generator, run.best_generator, {SCORE: _as_text(record)})
    write_text(run.best_score, _as_text(record))


def _as_text(record):
    return json.dumps(record, indent=1) + "\n"
