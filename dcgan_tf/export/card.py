"""Model card of a generator: card.md, filled with what its run tells."""

import json
import re
from pathlib import Path

from dcgan_tf import __version__
from dcgan_tf.common.config import Config
from dcgan_tf.common.datasets import DATASETS
from dcgan_tf.common.foreign import is_count, read_json, read_lines
from dcgan_tf.common.limits import counted
from dcgan_tf.common.origin import Origin
from dcgan_tf.common.pages import fill
from dcgan_tf.common.pretrained import FOLDER
from dcgan_tf.common.runs import Run
from dcgan_tf.common.scores import LABELS, cell, frechet_name, is_verdict, read_records
from dcgan_tf.models.pixels import range_of
from dcgan_tf.models.sampling import Sampler

CARD = "README.md"
CELEBA = "https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html"
# By data set: what a generator draws, and where its training images come from.
DRAWS = {
    "celeba": ("faces", "CelebA"),
    "folder": ("pictures", "a folder of pictures"),
    "mnist": ("handwritten digits", "MNIST"),
    "cifar10": ("small photographs", "CIFAR-10"),
    "demo": ("drawn faces", "faces that the program draws itself"),
}
_FILES = {
    "generator.keras": "the generator, a plain Keras model",
    "generator.onnx": "the same in ONNX: `latents` float32 (n, {latent_dim}) to `pictures`",
    "config.toml": "all settings of its training",
    "directions.npz": "named directions in its latent space",
    "explorer.html": "a page to play with it, which opens from disk",
    "grid.png": "the picture above",
}
_ONNX = """\
```python
import onnxruntime

session = onnxruntime.InferenceSession("generator.onnx")
picture = session.run(["pictures"], {"latents": latents})[0][0]  # as above
```

"""
_SCORES = """\
{scored} against {against}:

| score | these pictures | real against real |
|---|---|---|
{rows}

{warning}Their stamp; scores with another stamp cannot be compared with these:

```json
{protocol}
```

"""


def card(
    model: Path, sampler: Sampler, origin: Origin, licence: str | None, files: list[str]
) -> str:
    """The card of the generator in the file `model`; `files` are the names beside the card."""
    height, width, _ = sampler.picture_shape
    tanh = range_of(sampler.model) == "tanh"
    name, records = name_of(model, origin.run), _scores(origin.run, sampler.sha256)
    listed = [name for name in _FILES if name in files]
    parts = {
        "metadata": _metadata(name, origin, licence, records, files),
        "name": _plain(name),
        "draws": DRAWS[origin.data[0]][0] if origin.data else "pictures",
        "size": f"{width}x{height}",
        "licence": _licence(origin, licence),
        "latent_dim": str(sampler.latent_dim),
        "to_unit": "(picture + 1) / 2" if tanh else "picture",
        "onnx": _ONNX if "generator.onnx" in files else "",
        "files": "; ".join(f"`{name}`, {_FILES[name]}" for name in listed).format(
            latent_dim=sampler.latent_dim
        ),
        "parameters": f"{sampler.model.count_params():,}",
        "shape": str(sampler.picture_shape),
        "range": "-1 to 1" if tanh else "0 to 1",
        "sha256": sampler.sha256[:12],
        "points": "\n".join(_points(model, origin, sampler.sha256, bool(records))),
        "scores": "".join(map(_table, records)),
        "version": __version__,
    }
    return fill((Path(__file__).parent / "card.md").read_text(encoding="utf-8"), parts).decode()


def name_of(model: Path, run: Run) -> str:
    """The name of a generator: its run's, or its file's where it lies alone."""
    if run.root.parent == FOLDER or run.config.is_file():
        return run.root.resolve().name
    return model.stem


def _metadata(name, origin, licence, records, files):
    """Lines of YAML; every value is written as JSON, which YAML reads as it stands."""
    tags = ["dcgan", "gan", "image-generation", "tensorflow", *origin.data]
    fields: dict = {"tags": tags + ["onnx"] * ("generator.onnx" in files)}
    if origin.bound:
        terms = f"{origin.bound}-{DATASETS[origin.bound].terms}".replace(" ", "-")
        fields |= {"license": "other", "license_name": terms, "license_link": CELEBA}
    else:
        fields["license"] = licence or "unknown"
    if records:
        kind = origin.data[0] if origin.data else "unknown"
        results = {
            "task": {"type": "unconditional-image-generation"},
            "dataset": {"name": DRAWS.get(kind, ("", kind))[1], "type": kind},
            "metrics": [
                {"type": label.lower().replace(" ", "-"), "value": record[score], "name": label}
                for record in records
                for score, label in _labels(record).items()
            ],
        }
        fields["model-index"] = [{"name": name, "results": [results]}]
    return "\n".join(f"{field}: {json.dumps(value)}" for field, value in fields.items())


def _licence(origin, licence):
    if bound := origin.bound:
        own = bound == origin.data[0]
        how = "it was trained on" if own else "its training began from a network trained on"
        return (
            f"**For {DATASETS[bound].terms}**: {how} [{DRAWS[bound][1]}]({CELEBA}), whose "
            "licence says so and holds for what is trained on it too."
        )
    text = f"Licence: {licence}."
    if not licence:
        text = (
            "**Licence not chosen yet.** It is for whoever publishes this generator to choose, "
            "within what the licence of its training pictures allows; that of the code that "
            "trained it (MIT) says nothing about it."
        )
    if not origin.complete:
        text += (
            " What it was trained on, or began from, is not known here in full; that has a licence "
            "as well."
        )
    return text


def _points(model, origin, sha256, scored):
    """Lines of the list; those of a bundled generator's own card say more than its last run."""
    run, config = origin.run, origin.config
    faces = "celeba" in origin.data
    people = "; it has the bias of its data; no picture of it shows a person" if faces else ""
    points = {
        "Scores": "" if scored else "none were measured of these weights",
        "Data": _data(config) if config else "not known: no settings lay beside the file",
        "Training": _training(config, _seen(model, run)) if config else "",
        "Memorisation": _memorisation(run, sha256),
        "Limits": f"small pictures, some of which fail; no labels: it cannot be asked for "
        f"something{people}",
    }
    if run.root.parent == FOLDER and (run.root / CARD).is_file():
        text = (run.root / CARD).read_text(encoding="utf-8")
        own = dict(re.findall(r"^- \*\*(\w+)\*\*: (.*)$", text, re.MULTILINE))
        points |= {head: own[head] for head in points.keys() & own.keys() - {"Scores"}}
    return [f"- **{head}**: {text}" for head, text in points.items() if text]


def _data(config: Config):
    count = f"{config.subset:,} pictures" if config.subset else "all pictures"
    which = f" (`--subset-seed {config.subset_seed}`)" if config.subset else ""
    crop = "their largest centred square" if config.crop == "center" else f"the box {config.crop}"
    mirrored = ", mirrored at random" if config.flip else ""
    return (
        f"{count} of {DRAWS[config.dataset][1]}{which}; {crop}, at {config.image_size}x"
        f"{config.image_size}{mirrored}"
    )


def _training(config: Config, seen):
    length = (config.images, "image") if config.images else (config.epochs, "epoch")
    done = f"asked for {counted(*length)}"
    if seen:
        done = f"{counted(seen['epoch'], 'epoch')}, {counted(seen['images_seen'], 'image')}"
    average = "" if config.average == "none" else "; the weights are an average of G's"
    start = "; it began from trained networks" if config.init_from else ""
    return (
        f"{done}, batches of {config.batch_size}, seed {config.seed}, loss {config.loss}"
        f"{average}{start}"
    )


def _seen(model, run):
    """The last record of metrics.jsonl that this generator has, {} where it is not known."""
    names = ("epoch", "images_seen")
    records = [r for r in read_lines(run.metrics) if all(is_count(r.get(n)) for n in names)]
    if model.absolute() == run.best_generator.absolute():
        epoch = read_json(run.best_score).get("epoch")
        records = [record for record in records if record["epoch"] == epoch]
    elif model.absolute() != run.generator.absolute():
        return {}
    return records[-1] if records else {}


def _memorisation(run, sha256):
    record = read_json(run.memorisation)
    if not is_verdict(record) or record.get("generator_sha256") != sha256:
        return "not looked for"
    return (
        f"{_plain(record['verdict'])}: {record['copies']:.1%} of "
        f"{record['samples']:,} samples lie nearer to a training picture, in pixels and in "
        f"features, than real pictures of others do; chance allows {record['allowed']:.1%}"
    )


def _scores(run, sha256):
    """The newest record of each Fréchet distance that was measured with these very weights."""
    newest = {}
    for record in read_records(run.evaluation):
        if record["protocol"].get("generator_sha256") == sha256:
            newest[frechet_name(record)] = record
    return list(newest.values())


def _labels(record):
    """{score: its name} of a record; scores on other features than those of FID say so."""
    other = frechet_name(record) != "fid"
    return {
        name: label + "-768" * (other and name not in ("fid_768", "inception_score"))
        for name, label in LABELS.items()
        if record.get(name) is not None
    }


def _table(record):
    """The scores of one record and their protocol."""
    protocol, floor = record["protocol"], record.get("floor") or {}
    count = protocol.get("scored_count")
    # Of a path the last name is left: where files lie is private.
    against = re.sub(r"(?<![^\s(])[^\s/\\]*[/\\](?:.*[/\\])?", "", str(record.get("compared_with")))
    return _SCORES.format(
        scored=f"{count:,} of its pictures" if isinstance(count, int) else "Its pictures",
        against=_plain(against),
        rows="\n".join(
            f"| {label} | {cell(record, name)} | {cell(floor, name)} |"
            for name, label in _labels(record).items()
        ),
        warning=""
        if frechet_name(record) == "fid"
        else "Scores on 768 features are no FID: no published one compares with them.\n\n",
        protocol=json.dumps(protocol, indent=1),
    )


def _plain(text):
    """Any text with what Markdown or HTML would take for its own escaped."""
    return "".join(f"&#{ord(c)};" if c in "<>&|`[]*_\\\n" else c for c in str(text))
