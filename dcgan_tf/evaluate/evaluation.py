"""Score a run, or two sets of images, and print the record."""

import json
from dataclasses import replace

from dcgan_tf.common.checkpoints import identify
from dcgan_tf.common.config import ImageConfig
from dcgan_tf.common.config_file import read_config
from dcgan_tf.common.errors import UserError
from dcgan_tf.common.progress import progress
from dcgan_tf.common.runs import Run, find_again
from dcgan_tf.common.scores import FRECHET_NAMES, LABELS, append_record, mismatch, read_records
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
from dcgan_tf.evaluate.reference_file import read_reference, save_reference
from dcgan_tf.evaluate.score_table import at_epoch, table
from dcgan_tf.evaluate.scorer import Scorer, open_inception
from dcgan_tf.metrics.features import extract
from dcgan_tf.metrics.frechet import frechet_distance
from dcgan_tf.metrics.inception import ARCHIVE_NAME
from dcgan_tf.models.loading import load_generator


def evaluate(request: EvaluationRequest) -> None:
    """Score, and print the record."""
    if not request.run:
        record, earlier = score_places(request), []
    elif request.reference:
        return score_against_file(request.run, request)
    else:
        record, earlier = score_run(request.run, request), read_records(request.run.evaluation)
    # The newest score with the same protocol and other weights.
    now = record["protocol"]["generator_sha256"]
    others = [e for e in earlier if e["protocol"].get("generator_sha256") != now]
    before = next((other for other in others[::-1] if not mismatch(record, other)), None)
    print(json.dumps(record) if request.json else "\n" + table(record, before))


def score_run(run: Run, request: EvaluationRequest) -> dict:
    """Score a run's generator, and append the record to its evaluation.jsonl."""
    generator = load_generator(run.generator, "--run").model
    trained = identify(run)  # now: a training may go on
    archive, against = open_archive(run, request)
    count, choice = choose(archive, against, request)
    images = generated(generator, count, request.seed)
    record = trained | _score(images, choice, archive.config, request)
    record["scored"] = f"{images.name} of {run.root}{at_epoch(record)}"
    append_record(run.evaluation, record)
    return record


def score_against_file(run: Run, request: EvaluationRequest) -> None:
    """Print the Fréchet distance of a run's images from the statistics in a file.

    It is not appended to evaluation.jsonl, because the file does not say how its images were made.
    """
    count = request.samples or MOST
    reference, layer = read_reference(str(request.reference), count)
    images = generated(load_generator(run.generator, "--run").model, count, request.seed)
    record = identify(run)  # now: a training may go on
    inception, deepest = open_inception(request.inception)
    if layer not in inception.layers:
        raise UserError(
            f"has {len(reference.mean):,} features ({layer}), but these Inception weights reach "
            f"only {deepest}; give {ARCHIVE_NAME} with --inception PATH, or other statistics",
            flag=f"--reference {request.reference}",
        )
    config = find_again(run, read_config(run.config))
    cache = cache_of(replace(config, packs=request.packs or config.packs), request.cache)
    with progress(count, f"features {layer}") as bar:
        scored = extract(images, inception, layer, cache, bar.update)
    name = FRECHET_NAMES[layer]
    record |= {
        name: frechet_distance(reference, scored.statistics),
        "scored": f"{images.name} of {run.root}{at_epoch(record)}",
        "compared_with": request.reference,
        "inception_sha256": inception.weights_hash(layer),
        "made_by": images.made_by,
    }
    print(
        json.dumps(record)
        if request.json
        else f"\n{LABELS[name]} {record[name]:.2f}: {record['scored']}, vs. {request.reference}\n"
        "KID, precision and recall need the features of images, which this file does not hold"
    )


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
    count = min(request.samples or MOST, *(len(source.names) for source in sources))
    cropped = "if they are cropped already, "
    hints = f"{cropped}leave out --crop", f"{cropped}add --scored-crop center"
    first, second = (
        without_flag(_open_side, config, source, count, hint)
        for config, source, hint in zip(configs, sources, hints, strict=True)
    )
    # Some images may have been unusable.
    smaller = min(first, second, key=lambda side: len(side.rows))
    count = check_count(min(count, len(smaller.rows)), smaller.source.where)
    choice = choose_reference(first, count, count, request.seed)
    images = from_pack(second.pack, pick(second.rows, count, request.seed)[0], second.name)
    scores = _score(images, choice, first.config, request)
    if count < request.samples:
        words = f"compared {count} images per side, not {request.samples}: there are no more"
        scores["notes"].append(f"warning: {words}")
    if same := count_copies(images, choice.reference):
        scores["notes"].append(f"warning: {same} of {count} images are also in the reference set")
    return {"run": None, "epoch": None, "step": None, **scores, "scored": images.name}


def _open_side(config, source, count, hint):
    config = narrow(config, source, count)
    where = source.where
    try:
        return Archive(config, source, f"the images of {where}", f"the other images of {where}")
    except UserError as error:
        if config.crop == "center":
            raise
        raise UserError(f"{error.message}; {hint}", flag=error.flag) from None


def _score(images, choice, config, request):
    """Score with a progress bar over all images; save the reference if asked to."""
    inception, layer = open_inception(request.inception, request.features)  # may download
    scorer = Scorer(inception, layer, choice, cache_of(config, request.cache), request.seed)
    with progress(scorer.real_count + images.count, f"features {layer}") as bar:
        scores = scorer.score(images, bar.update)
    if request.save_reference and scorer.reference:
        save_reference(request.save_reference, scorer.reference.statistics)
    return scores
