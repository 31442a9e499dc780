"""The probe: a linear classifier on D's features, and its accuracy."""

import contextlib
import json
import logging
from pathlib import Path

import numpy as np

from dcgan_tf.common.atomic_write import write_text
from dcgan_tf.common.checkpoints import read_journal
from dcgan_tf.common.config import ImageConfig
from dcgan_tf.common.config_file import read_config
from dcgan_tf.common.errors import UserError
from dcgan_tf.common.files import make_directory
from dcgan_tf.common.runs import Run, find_again
from dcgan_tf.data.labels import read_classes
from dcgan_tf.data.pack import Pack, find_pack, narrow, open_pack
from dcgan_tf.data.places import find
from dcgan_tf.data.sources import open_source
from dcgan_tf.models.loading import check_finite, load_network
from dcgan_tf.models.sampling import weights_sha256
from dcgan_tf.probe.command import FEWEST, ProbeRequest
from dcgan_tf.probe.discriminator_features import features_of, pooled_features

log = logging.getLogger(__name__)

TEST, CHOOSING = 0.2, 0.2  # fraction of all images; of the others, to choose C
PIXEL_SIDE = 32  # for the baseline, larger images are averaged down to this
PAIRS = 5  # most pairs of confused classes that are shown
MOST_CLASSES = 1000
FEWEST_OF_CLASS = 10  # so that each part has some
STRENGTHS = (1e-3, 1e-2, 1e-1, 1.0)  # of scikit-learn's C, the inverse of the regularization


def probe(request: ProbeRequest) -> dict:
    """Classify, print the accuracies, write the record to `request.out` and return it."""
    from sklearn.model_selection import train_test_split

    discriminator = load_network(request.model, "--model", ("discriminator",))
    check_finite(discriminator, f"--model {request.model}")
    network = pooled_features(discriminator, f"--model {request.model}")
    config = _config(request, discriminator.input_shape)
    pack, where, classes, labels = _open_images(config, request.pictures)
    if seen := seen_in_training(request.run, pack, where):
        how = "with" if read_config(request.run.config).labels else "without"
        log.warning(f"D was trained on {seen}, {how} their labels; --data names others")
    size, rows = round(TEST * len(labels)), np.arange(len(labels))
    known, test = train_test_split(rows, test_size=size, random_state=request.seed)
    features = features_of(network, pack.pixels, config.output_activation)
    results = {"features of D": _classify(features, labels, known, test)}
    del features  # may be as large as the memory
    results["pixels"] = _classify(average_down(pack.pixels), labels, known, test)
    choose = round(CHOOSING * len(known))
    record = {
        "discriminator_sha256": weights_sha256(discriminator),
        "pictures": where,
        "pixels_sha256": pack.manifest["pixels_sha256"],
        "seed": request.seed,
        "counts": {"test": len(test), "choose": choose, "fit": len(known) - choose},
        "classes": classes,
        "results": results,
    }
    _print_results(record)
    make_directory(request.out.absolute().parent, "--out")
    write_text(request.out, json.dumps(record) + "\n")
    log.info(f"wrote {request.out}")
    return record


def _config(request, shape):
    """The config of images for a discriminator's input, (n, side, side, channels)."""
    run = find_again(request.run, read_config(request.run.config))
    given = {"image_size": shape[1], "channels": shape[3], "subset": 0}
    given |= {"subset_seed": request.seed, "labels": "", "label_table": ""}
    if request.dataset not in (None, run.dataset):
        given |= {"dataset": request.dataset, "data": "", "crop": "auto"}
    for name in ("data", "packs", "crop"):
        if (value := getattr(request, name)) is not None:
            given[name] = value
    return ImageConfig(**vars(run) | given)


def _open_images(config, count) -> tuple[Pack, str, list[str], np.ndarray]:
    """Open `count` images: the pack, its place, the classes, and each image's class number."""
    source = open_source(config)
    flag = f"--data {source.where}"
    if len(source.names) < FEWEST:
        raise UserError(f"{len(source.names)} images, expected {FEWEST} or more", flag=flag)
    read_classes(source, source.names, MOST_CLASSES)  # before packing, which may take long
    pack = open_pack(narrow(config, source, count), source)
    # From this source, because the files of the pack may have moved.
    classes, labels = read_classes(source, pack.names, MOST_CLASSES)
    counts = np.bincount(labels)
    if counts.min() < FEWEST_OF_CLASS:
        raise UserError(
            f"{counts.min()} images of {classes[counts.argmin()]}, expected {FEWEST_OF_CLASS} or "
            "more of each class; add some, or leave its folder out",
            flag=flag,
        )
    return pack, str(source.where), classes, labels


def seen_in_training(run: Run, pack: Pack, where: str) -> str:
    """Say which images of a pack a run was trained on; "" if it used other files."""
    own = find_again(run, read_config(run.config))
    trained_on = find_pack(own.packs, read_journal(run).get("pixels_sha256"))
    same = bool(trained_on) and trained_on.manifest.get("source") == pack.manifest["source"]
    with contextlib.suppress(UserError):  # the run's images are gone
        same = same or Path(find(own)).resolve() == Path(where).resolve()
    return ("some of these images" if own.subset else "these images") if same else ""


def average_down(pixels: np.ndarray) -> np.ndarray:
    """float32 (n, numbers) of uint8 images, averaged down to PIXEL_SIDE or a little more."""
    factor = max(pixels.shape[1] // PIXEL_SIDE, 1)
    side, channels = pixels.shape[1] // factor, pixels.shape[3]
    cut = pixels[:, : side * factor, : side * factor]
    blocks = cut.reshape(-1, side, factor, side, factor, channels)
    return blocks.mean(axis=(2, 4), dtype=np.float32).reshape(len(pixels), -1) / 255


def _classify(features, labels, known, test):
    """Fit and test a logistic regression on standardized features; part of `known` chooses C."""
    from scipy.stats import binomtest
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import confusion_matrix
    from sklearn.model_selection import GridSearchCV, ShuffleSplit
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    search = GridSearchCV(
        make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)),
        {"logisticregression__C": STRENGTHS},
        cv=ShuffleSplit(1, test_size=round(CHOOSING * len(known)), random_state=0),
    )
    search.fit(features[known], labels[known])
    predicted = search.predict(features[test])
    confusion = confusion_matrix(labels[test], predicted, labels=range(labels.max() + 1))
    hits = binomtest(int(np.trace(confusion)), len(test))
    interval = hits.proportion_ci(method="wilson")  # 95%, also valid near 0 and 1
    return {
        "accuracy": round(hits.statistic, 5),
        "interval": [round(float(end), 5) for end in interval],
        "numbers": features.shape[1],
        "C": search.best_params_["logisticregression__C"],
        "confusion": confusion.tolist(),
    }


def worst(confusion: list[list[int]], classes: list[str]) -> list[str]:
    """Name the pairs of classes that are confused most: "4 for 9: 12 of 200"."""
    counts = [
        (count, f"{classes[true]} for {classes[taken]}: {count} of {sum(row)}")
        for true, row in enumerate(confusion)
        for taken, count in enumerate(row)
        if count and taken != true
    ]
    return [words for _, words in sorted(counts, key=lambda pair: -pair[0])[:PAIRS]]


def _print_results(record):
    counts = record["counts"]
    log.info(
        f"{len(record['classes'])} classes; trained on {counts['fit'] + counts['choose']:,} "
        f"images ({counts['choose']:,} of them chose C), tested on {counts['test']:,}"
    )
    for name, result in record["results"].items():
        low, high = result["interval"]
        log.info(
            f"{name:13}  {result['accuracy']:.2%} right (95% interval {low:.2%} to {high:.2%}), "
            f"{result['numbers']:,} numbers an image, C {result['C']:g}"
        )
        if pairs := worst(result["confusion"], record["classes"]):
            log.info(f"{'':13}  confused: {'; '.join(pairs)}")
