"""Score what a command line names, from the request to the record."""

import json

from dcgan_tf.common.checkpoints import identify
from dcgan_tf.common.config import ImageConfig
from dcgan_tf.common.errors import UserError
from dcgan_tf.common.progress import progress
from dcgan_tf.common.runs import Run
from dcgan_tf.common.scores import append_record
from dcgan_tf.data.pack import narrow
from dcgan_tf.data.sources import open_source
from dcgan_tf.evaluate.archive import (
    MOST,
    Archive,
    cache_of,
    check_count,
    choose,
    choose_reference,
    open_archive,
)
from dcgan_tf.evaluate.command import EvaluationRequest, without_flag
from dcgan_tf.evaluate.image_sets import count_copies, from_pack, generated, pick
from dcgan_tf.evaluate.score_table import at_epoch, table
from dcgan_tf.evaluate.scorer import Scorer, open_inception
from dcgan_tf.models.loading import load_generator


def evaluate(request: EvaluationRequest) -> None:
    """Score, and print the record.

    Raises:
        UserError: bad input; the message says how to mend it.
    """
    record = score_run(request.run, request) if request.run else score_places(request)
    print(json.dumps(record) if request.json else "\n" + table(record))


def score_run(run: Run, request: EvaluationRequest) -> dict:
    """Score a run's generator, and append the record to its evaluation.jsonl."""
    generator = load_generator(run.generator, "--run").model
    inception, layer = open_inception(request.inception, request.layer)
    archive, against = open_archive(run, request)
    count, choice = choose(archive, against, request)
    images = generated(generator, count, request.seed)
    cache = cache_of(archive.config, request.cache)
    scores = _score(Scorer(inception, layer, choice, cache, request.seed), images)
    record = {**identify(run), **scores}
    record["scored"] = f"{images.name} of {run.root}{at_epoch(record)}"
    append_record(run.evaluation, record)
    return record


def score_places(request: EvaluationRequest) -> dict:
    """Score the images in B against those in A."""
    crops = request.crop, request.scored_crop
    configs = [
        ImageConfig(
            dataset="folder",
            data=place,
            crop=crop,
            image_size=request.size,
            packs=request.packs or "data/packs",
            subset_seed=request.seed,
        )
        for place, crop in zip(request.places, crops, strict=True)
    ]
    sources = [without_flag(open_source, config) for config in configs]
    smaller = min(sources, key=lambda source: len(source.names))
    fewest = check_count(len(smaller.names), smaller.where)
    count = request.samples or min(MOST, fewest)
    if count > fewest:
        raise UserError(
            f"--samples {count}: {smaller.where} has {fewest} images; use {fewest} or fewer"
        )
    inception, layer = open_inception(request.inception, request.layer)
    first, second = (
        without_flag(_open_side, config, source, count)
        for config, source in zip(configs, sources, strict=True)
    )
    # Some images may have been unusable.
    count = check_count(min(len(first.rows), len(second.rows)), smaller.where)
    choice = choose_reference(first, count, count, request.seed)
    images = from_pack(second.pack, pick(second.rows, count, request.seed)[0], second.name)
    cache = cache_of(first.config, request.cache)
    scores = _score(Scorer(inception, layer, choice, cache, request.seed), images)
    if same := count_copies(images, choice.reference):
        scores["notes"].append(f"warning: {same} of {count} scored images are on both sides")
    return {"run": None, "epoch": None, "step": None, **scores, "scored": images.name}


def _open_side(config, source, count):
    config = narrow(config, source, count)
    where = source.where
    try:
        return Archive(config, source, f"the images of {where}", f"the other images of {where}")
    except UserError as error:
        if config.crop == "center":
            raise
        hint = "; if they are cropped already, add --scored-crop center"
        raise UserError(error.message + hint, flag=error.flag) from None


def _score(scorer, images):
    """Call Scorer.score, with the progress over all images of all sides."""
    with progress(scorer.real_count + images.count, f"features {scorer.layer}") as bar:
        return scorer.score(images, bar.update)
