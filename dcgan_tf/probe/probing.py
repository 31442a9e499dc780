"""The probe: a linear classifier on D's features, and its accuracy."""

import contextlib
import json
import logging
from pathlib import Path

import keras
import numpy as np

from dcgan_tf.common.atomic_write import write_text
from dcgan_tf.common.checkpoints import read_journal
from dcgan_tf.common.config import Config, ImageConfig
from dcgan_tf.common.config_file import read_config
from dcgan_tf.common.errors import UserError
from dcgan_tf.common.files import make_directory
from dcgan_tf.common.runs import Run, find_again
from dcgan_tf.data.pack import Pack, narrow, open_pack, read_manifest
from dcgan_tf.data.places import find
from dcgan_tf.data.sources import open_source
from dcgan_tf.models.loading import check_finite, load_network
from dcgan_tf.models.sampling import weights_sha256
from dcgan_tf.probe.command import FEWEST, ProbeRequest
from dcgan_tf.probe.discriminator_features import features_of, pooled_features
from dcgan_tf.probe.labels import read_labels

log = logging.getLogger(__name__)

TEST, CHOOSING = 0.2, 0.2  # share of all that is the test; of the others that chooses C
PIXEL_SIDE = 32  # the baseline sees larger pictures averaged down to this
PAIRS = 5  # of classes that are taken for each other, at most
STRENGTHS = (1e-3, 1e-2, 1e-1, 1.0)  # of scikit-learn's C, the inverse of the regularization


def probe(request: ProbeRequest) -> dict:
    """Classify, print the accuracies, and keep the record in `request.out`.

    Returns:
        The record.

    Raises:
        UserError: no discriminator, no labelled pictures that fit it.
    """
    discriminator = load_network(request.model, "--model", ("discriminator",))
    check_finite(discriminator, f"--model {request.model}")
    config = _config(request, discriminator)
    try:
        network = pooled_features(discriminator)
    except UserError as error:
        raise UserError(error.message, flag=f"--model {request.model}") from None
    source = open_source(config)
    if len(source.names) < FEWEST:
        raise UserError(
            f"{len(source.names)} images, expected {FEWEST} or more; of fewer the interval is "
            "wider than what is measured",
            flag=f"--data {source.where}",
        )
    read_labels(source, source.names)  # refused before the packing, which may be long
    pack = open_pack(config, source)
    # Not of where the pack was made: its files may have moved since.
    classes, labels = read_labels(source, pack.names)
    parts = split(len(labels), request.seed)
    _check_classes(classes, labels, parts, source.where)
    if seen := seen_in_training(request.run, config, pack):
        log.warning(f"{seen} trained this discriminator, without their labels; --data names others")
    inputs = {
        "features of D": lambda: features_of(network, pack.pixels, config.output_activation),
        "pixels": lambda: pixels_of(pack.pixels),
    }
    results = {
        name: _classify(make(), labels, len(classes), parts) for name, make in inputs.items()
    }
    record = {
        "discriminator_sha256": weights_sha256(discriminator),
        "pictures": str(source.where),
        "pixels_sha256": pack.manifest["pixels_sha256"],
        "seed": request.seed,
        "counts": {name: int(rows.sum()) for name, rows in parts.items()},
        "classes": classes,
        "results": results,
    }
    _tell(record)
    make_directory(request.out.absolute().parent, "--out")
    write_text(request.out, json.dumps(record) + "\n")
    log.info(f"wrote {request.out}")
    return record


def _config(request, discriminator):
    """Config: the pictures as this discriminator takes them."""
    shape = getattr(discriminator, "input_shape", None)
    if not isinstance(shape, tuple) or len(shape) != 4 or shape[1] != shape[2] or None in shape[1:]:
        raise UserError(f"takes {shape}, expected square pictures", flag=f"--model {request.model}")
    run = find_again(request.run, read_config(request.run.config))
    given = {
        "image_size": shape[1],
        "channels": shape[3],
        "subset": 0,
        **{k: v for k in ("data", "packs") if (v := getattr(request, k)) is not None},
    }
    if request.dataset not in (None, run.dataset):
        given = {"data": ""} | given | {"dataset": request.dataset, "crop": "auto"}
    if request.crop is not None:
        given["crop"] = request.crop
    config = ImageConfig(**vars(run) | given | {"subset_seed": request.seed})
    return narrow(config, open_source(config), request.pictures)


def seen_in_training(run: Run, config: Config, pack: Pack) -> str:
    """Which of a pack's pictures a run was trained on, in words; "" where none are known.

    They are the run's where they lie in the run's place, however it was typed, or, moved or copied
    since, where the run's own pack was made of the same files.
    """
    own = find_again(run, read_config(run.config))
    words = "some of these pictures" if own.subset else "these pictures"
    with contextlib.suppress(UserError):  # the run's are gone
        if _place(own) == _place(config):
            return words
    trained_on = read_journal(run).get("pixels_sha256")
    for path in Path(own.packs).glob("*/manifest.json"):
        manifest = read_manifest(path.parent)
        if manifest and manifest["pixels_sha256"] == trained_on:
            return words if manifest.get("source") == pack.manifest["source"] else ""
    return ""


def _place(config):
    place = find(config)
    return place.resolve() if isinstance(place, Path) else place


def split(count: int, seed: int) -> dict[str, np.ndarray]:
    """bool (count,) each: `fit`, `choose` and `test`, by chance."""
    order = np.random.RandomState(seed).permutation(count)
    test = round(TEST * count)
    choosing = test + round(CHOOSING * (count - test))
    found = {}
    for name, rows in {
        "test": order[:test],
        "choose": order[test:choosing],
        "fit": order[choosing:],
    }.items():
        found[name] = np.zeros(count, bool)
        found[name][rows] = True
    return found


def _check_classes(classes, labels, parts, where):
    for part, rows in parts.items():
        missing = set(range(len(classes))) - set(labels[rows])
        if missing:
            names = ", ".join(classes[k] for k in sorted(missing)[:5])
            raise UserError(
                f"too few pictures: among the {int(rows.sum()):,} to {part} there is none of "
                f"{names}; expected more of each class, or leave its folder out",
                flag=f"--data {where}",
            )


def pixels_of(pixels: np.ndarray) -> np.ndarray:
    """float32 (n, numbers) of uint8 pictures, averaged down to PIXEL_SIDE or a little more."""
    factor = max(pixels.shape[1] // PIXEL_SIDE, 1)
    if factor > 1:
        pool = keras.layers.AveragePooling2D(factor)
        parts = (pixels[k : k + 256].astype(np.float32) for k in range(0, len(pixels), 256))
        pixels = np.concatenate([np.asarray(pool(part)) for part in parts])
    return np.asarray(pixels, np.float32).reshape(len(pixels), -1) / 255


def _classify(features, labels, count, parts):
    """dict: test accuracy of a logistic regression on standardized features.

    Its regularization is the one that is best on the examples to `choose`; then it is fitted to
    all but the test.
    """
    from scipy.stats import binomtest
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import confusion_matrix
    from sklearn.model_selection import GridSearchCV, PredefinedSplit
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    known, test = ~parts["test"], parts["test"]
    search = GridSearchCV(
        make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)),
        {"logisticregression__C": STRENGTHS},
        cv=PredefinedSplit(np.where(parts["choose"][known], 0, -1)),
    )
    search.fit(features[known], labels[known])
    predicted = search.predict(features[test])
    confusion = confusion_matrix(labels[test], predicted, labels=range(count))
    hits = binomtest(int(np.trace(confusion)), int(test.sum()))
    interval = hits.proportion_ci(method="wilson")  # 95%, sound near 0 and 1 as well
    return {
        "accuracy": round(hits.statistic, 5),
        "interval": [round(float(end), 5) for end in interval],
        "numbers": features.shape[1],
        "C": search.best_params_["logisticregression__C"],
        "confusion": confusion.tolist(),
    }


def worst(confusion: list[list[int]], classes: list[str]) -> list[str]:
    """The pairs of classes that are confused most, in words: "4 for 9: 12 of 200"."""
    found = [
        (row[taken], f"{classes[true]} for {classes[taken]}: {row[taken]} of {sum(row)}")
        for true, row in enumerate(confusion)
        for taken in range(len(row))
        if taken != true and row[taken]
    ]
    return [words for _, words in sorted(found, key=lambda pair: -pair[0])[:PAIRS]]


def _tell(record):
    counts = record["counts"]
    log.info(
        f"{len(record['classes'])} classes; learnt from {counts['fit'] + counts['choose']:,} "
        f"pictures ({counts['choose']:,} of them chose C), tested on {counts['test']:,}"
    )
    for name, result in record["results"].items():
        low, high = result["interval"]
        log.info(
            f"{name:13}  {result['accuracy']:.2%} right (95% interval {low:.2%} to {high:.2%}), "
            f"{result['numbers']:,} numbers a picture, C {result['C']:g}"
        )
        if pairs := worst(result["confusion"], record["classes"]):
            log.info(f"{'':13}  taken wrongly: {'; '.join(pairs)}")
