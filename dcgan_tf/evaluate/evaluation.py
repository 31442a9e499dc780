"""Scoring from the request to the record."""

import json

from dcgan_tf.common.checkpoints import identify
from dcgan_tf.common.config import ImageConfig
from dcgan_tf.common.errors import UserError
from dcgan_tf.common.progress import progress
from dcgan_tf.common.scores import append_record
from dcgan_tf.data.pack import narrow
from dcgan_tf.data.sources import open_source
from dcgan_tf.evaluate import score_table
from dcgan_tf.evaluate.command import EvaluationRequest, without_flag
from dcgan_tf.evaluate.image_sets import from_pack, generated, generator_of, pick
from dcgan_tf.evaluate.reference import (
    Archive,
    at_epoch,
    cache_of,
    check_count,
    choose,
    choose_subset,
    open_archive,
)
from dcgan_tf.evaluate.scorer import Scorer, open_inception
from dcgan_tf.metrics.features import Pictures


def evaluate(request: EvaluationRequest):
    """Do what a command line asks for.

    Raises:
        UserError: bad input; the message says how to mend it.
    """
    record = (score_places if request.places else score_run)(request)
    print(json.dumps(record) if request.json else "\n" + score_table.table(record))


def score_run(request: EvaluationRequest) -> dict:
    """The scores of a run's generator, also appended to its evaluation.jsonl."""
    run = request.run
    generator = generator_of(run)
    inception, layer = open_inception(request.inception, request.layer)
    archive, against = open_archive(request)
    count, choice = choose(archive, against, request)
    pictures = generated(generator, count, request.seed)
    cache = cache_of(archive.config, request.cache)
    scores = _score(Scorer(inception, layer, choice, cache, request.seed), pictures)
    record = {**identify(run), **scores}
    record["scored"] = f"{pictures.name} of {run.root}{at_epoch(record)}"
    append_record(run.evaluation, record)
    return record


def score_places(request: EvaluationRequest) -> dict:
    """The scores of the pictures in B against those in A."""
    sides = [_config(request, *side) for side in zip(request.places, _crops(request), strict=True)]
    sources = [without_flag(open_source, config) for config in sides]
    smaller = min(sources, key=lambda source: len(source.names))
    fewest = check_count(len(smaller.names), smaller.where)
    count = request.samples or min(10_000, fewest)
    if count > fewest:
        raise UserError(
            f"--samples {count}: {smaller.where} has {fewest} pictures; use {fewest} or fewer"
        )
    inception, layer = open_inception(request.inception, request.layer)
    first, second = (
        without_flag(_open_side, config, source, count)
        for config, source in zip(sides, sources, strict=True)
    )
    # Some pictures may have been unusable.
    count = check_count(min(len(first.rows), len(second.rows)), smaller.where)
    choice = choose_subset(first, count, count, request.seed)
    pictures = from_pack(second.pack, pick(second.rows, count, request.seed)[0], second.name)
    cache = cache_of(first.config, request.cache)
    scores = _score(Scorer(inception, layer, choice, cache, request.seed), pictures)
    return {"run": None, "epoch": None, "step": None, **scores, "scored": pictures.name}


def _crops(request):
    return request.crop, request.scored_crop


def _config(request, place, crop):
    return ImageConfig(
        dataset="folder",
        data=place,
        crop=crop,
        image_size=request.size,
        packs=request.packs or "data/packs",
        subset_seed=request.seed,
    )


def _open_side(config, source, count):
    config = narrow(config, source, count)
    where = source.where
    try:
        return Archive(config, source, f"the pictures of {where}", f"the other pictures of {where}")
    except UserError as error:
        if config.crop == "center":
            raise
        hint = "; if they are cropped already, add --scored-crop center"
        raise UserError(error.message + hint, flag=error.flag) from None


def _score(judge: Scorer, pictures: Pictures) -> dict:
    """Scorer.score with the progress over all pictures of all sides."""
    with progress(judge.real_count + pictures.count, f"features {judge.layer}") as bar:
        return judge.score(pictures, bar.update)
