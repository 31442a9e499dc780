"""Scoring from the request to the record, on one screen."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from dcgan_tf.common.checkpoints import JOURNAL, files
from dcgan_tf.common.config import Config
from dcgan_tf.common.errors import UserError
from dcgan_tf.common.runs import editing_lines, read_lines
from dcgan_tf.data.sources import open_source
from dcgan_tf.evaluate import reference as reals
from dcgan_tf.evaluate import table as scoreboard
from dcgan_tf.evaluate.judge import Judge, best_layer
from dcgan_tf.metrics.inception import load_inception
from dcgan_tf.models.networks import load_network
from dcgan_tf.train.command import read_config

MAX_SEEDS = 2**32


def evaluate(args):
    """Do what a command line asks for.

    Args:
        args: of evaluate.parse_evaluation.

    Raises:
        UserError: bad input; the message says how to mend it.
    """
    say = speaker(args)
    prepare_devices()
    record = (score_run if not args.places else score_places)(args, say)
    print(json.dumps(record) if args.json else "\n" + scoreboard.table(record))


def speaker(args):
    """What prints a line for the person who watches: with --json not to stdout."""
    return lambda text: tqdm.write(text, file=sys.stderr if args.json else sys.stdout)


def prepare_devices():
    """Take a GPU's memory as it is needed, not all of it."""
    for gpu in tf.config.list_physical_devices("GPU"):
        tf.config.experimental.set_memory_growth(gpu, True)


def score_run(args, say):
    """dict: the scores of a run's generator, also appended to its evaluation.jsonl."""
    run = args.run
    generator = load_network(run.generator, "--run")
    inception = load_inception(args.inception)
    layer = best_layer(inception, args.features)
    archive, against = open_archive(args, say)
    count, choice = choose(archive, against, args)
    if (args.seed + 1) * count > MAX_SEEDS:
        raise UserError(f"--seed {args.seed}: no such seeds for {count:,} samples; use a lower one")
    pictures = reals.generated(generator, count, args.seed)
    scores = judge(args, inception, layer, choice, cache_of(args, archive.config), pictures)
    record = {**identify(run), **scores}
    record["scored"] = f"{pictures.name} of {run.root}, epoch {record['epoch']}"
    with editing_lines(run.evaluation) as records:
        records.append(record)
    return record


def score_places(args, say):
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
    first, second = (
        _as_place(_open_side, config, source, count, say) for config, source in sources
    )
    count = min(len(first.rows), len(second.rows))  # some pictures may have been unusable
    choice = reals.choose_subset(first, count, count, args.seed)
    pictures = reals.from_pack(
        second.pack, reals.pick(second.rows, count, args.seed)[0], second.name
    )
    scores = judge(args, inception, layer, choice, cache_of(args, first.config), pictures)
    return {"run": None, "epoch": None, "step": None, **scores, "scored": pictures.name}


def _open_side(config, source, count, say):
    config = replace(config, subset=count if count < len(source.names) else 0)
    where = source.where
    return reals.Archive(
        config, source, f"the pictures of {where}", f"the other pictures of {where}", say
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


def cache_of(args, config):
    """Path: where features are kept."""
    return Path(args.cache) if args.cache else Path(config.packs).parent / "features"


def open_archive(args, say):
    """The real pictures of a run, or the other ones that --data names.

    Returns:
        reals.Archive and "subset", "rest" or "data": what to compare with.

    Raises:
        UserError: --against subset or rest with pictures that the run was not trained on.
    """
    config = read_config(args.run.config)
    if args.packs:
        config = replace(config, packs=args.packs)
    if args.against == "data":
        return _other_archive(args, config, say), "data"
    if args.data:
        config = replace(config, data=args.data)
    source = open_source(replace(config, subset=0))
    if len(source.names) >= config.subset:
        archive = reals.Archive(
            config,
            source,
            f"the training pictures, {source.where}",
            f"the rest of {source.where}, not trained on",
            say,
        )
        trained_on = read_journal(args.run).get("pixels_sha256")
        if trained_on in (None, archive.pack.manifest["pixels_sha256"]):
            return archive, args.against or "subset"
    if args.data and not args.against:
        return _other_archive(args, config, say), "data"
    raise UserError(
        f"--data {source.where}: not the pictures that {args.run.root} was trained on; "
        "name those, or compare with these by --against data"
    )


def _other_archive(args, config, say):
    """Another archive whole; of a large one, the seeded choice that is needed."""
    config = replace(config, data=args.data, subset=0, subset_seed=args.seed)
    source = open_source(config)
    wanted = 2 * (args.samples or 10_000)
    if wanted < (1 - config.max_bad) * len(source.names):
        config = replace(config, subset=wanted)
    name = f"the pictures of {source.where}"
    return reals.Archive(config, source, name, name, say)


def choose(archive, against, args):
    """How many pictures a side, and which real ones.

    Returns:
        int, reals.Choice.
    """
    own, spare = len(archive.rows), archive.left_out
    if against == "rest":
        if spare < 2:
            raise UserError(
                f"--against rest: {args.run.root} was trained on all {own:,} pictures of "
                f"{archive.source.where}; use --against subset, or --against data --data PATH"
            )
        own, spare = spare, own
    count = args.samples or reals.default_count(own, spare)
    take = reals.choose_rest if against == "rest" else reals.choose_subset
    return count, take(archive, min(count, own), count, args.seed)


def read_journal(run):
    """dict: `step`, `steps_per_epoch`, `pixels_sha256` of the newest checkpoint, {} without one."""
    for path in reversed(files(run.checkpoints)):
        try:
            with np.load(path) as archive:
                return json.loads(str(archive[JOURNAL]))
        except Exception:  # damaged; training says so, here the one before will do
            continue
    return {}


def identify(run):
    """dict: `run`, `epoch`, `step` of the generator; null where no checkpoint tells."""
    journal = read_journal(run)
    step = journal.get("step")
    epoch = step // journal["steps_per_epoch"] if journal else None
    if not journal and (lines := read_lines(run.metrics)):
        epoch, step = lines[-1]["epoch"], lines[-1]["step"]
    return {"run": run.root.resolve().name, "epoch": epoch, "step": step}
