"""Scoring from the request to the record, on one screen."""

import json
from dataclasses import replace

from tqdm import tqdm

from dcgan_tf.common.checkpoints import identify
from dcgan_tf.common.config import Config
from dcgan_tf.common.errors import UserError
from dcgan_tf.common.files import editing_lines
from dcgan_tf.data.sources import open_source
from dcgan_tf.evaluate import against as reference
from dcgan_tf.evaluate import table
from dcgan_tf.evaluate.against import cache_of, choose, open_archive
from dcgan_tf.evaluate.judge import Judge, best_layer
from dcgan_tf.evaluate.pictures import from_pack, generated, pick
from dcgan_tf.metrics.inception import load_inception
from dcgan_tf.models.networks import load_network

MAX_SEEDS = 2**32


def evaluate(args):
    """Do what a command line asks for.

    Args:
        args: of evaluate.parse_evaluation.

    Raises:
        UserError: bad input; the message says how to mend it.
    """
    record = (score_run if not args.places else score_places)(args)
    print(json.dumps(record) if args.json else "\n" + table.table(record))


def score_run(args):
    """dict: the scores of a run's generator, also appended to its evaluation.jsonl."""
    run = args.run
    generator = load_network(run.generator, "--run")
    inception = load_inception(args.inception)
    layer = best_layer(inception, args.features)
    archive, against = open_archive(args)
    count, choice = choose(archive, against, args)
    if (args.seed + 1) * count > MAX_SEEDS:
        raise UserError(f"--seed {args.seed}: no such seeds for {count:,} samples; use a lower one")
    pictures = generated(generator, count, args.seed)
    scores = judge(args, inception, layer, choice, cache_of(args, archive.config), pictures)
    record = {**identify(run), **scores}
    record["scored"] = f"{pictures.name} of {run.root}, epoch {record['epoch']}"
    with editing_lines(run.evaluation) as records:
        records.append(record)
    return record


def score_places(args):
    """dict: the scores of the pictures in B against those in A."""
    sources = []
    for place, crop in zip(args.places, (args.crop, args.scored_crop), strict=True):
        config = Config(
            dataset="folder",
            data=place,
            crop=crop,
            image_size=args.size,
            packs=args.packs or "data/packs",
            subset_seed=args.seed,
        )
        sources.append((config, _as_place(open_source, config)))
    fewest = min(len(source.names) for _, source in sources)
    count = args.samples or min(10_000, fewest)
    if count > fewest:
        smaller = min(sources, key=lambda pair: len(pair[1].names))[1]
        raise UserError(
            f"--samples {count}: {smaller.where} has {fewest} pictures; use {fewest} or fewer"
        )
    inception = load_inception(args.inception)
    layer = best_layer(inception, args.features)
    first, second = (_as_place(_open_side, config, source, count) for config, source in sources)
    count = min(len(first.rows), len(second.rows))  # some pictures may have been unusable
    choice = reference.choose_subset(first, count, count, args.seed)
    pictures = from_pack(second.pack, pick(second.rows, count, args.seed)[0], second.name)
    scores = judge(args, inception, layer, choice, cache_of(args, first.config), pictures)
    return {"run": None, "epoch": None, "step": None, **scores, "scored": pictures.name}


def _open_side(config, source, count):
    config = replace(config, subset=count if count < len(source.names) else 0)
    where = source.where
    return reference.Archive(
        config, source, f"the pictures of {where}", f"the other pictures of {where}"
    )


def _as_place(open_it, *args):
    """Call `open_it`, whose errors name --data, where the user gave a place without a flag."""
    try:
        return open_it(*args)
    except UserError as error:
        text = str(error).removeprefix("--data ")
        if "smaller than the crop box" in text:
            text += "; are they cropped already? then add --scored-crop center"
        raise UserError(text) from None


def judge(args, inception, layer, choice, cache, pictures):
    """dict: scores.Judge.score under one progress bar over all pictures of all sides."""
    total = choice.reference.count + choice.held_count + pictures.count
    with tqdm(total=total, desc=f"features {layer}", unit="img", disable=None) as bar:
        return Judge(inception, layer, choice, cache, args.seed).score(pictures, bar.update)
