"""Model card of a generator: card.md, filled with what its run tells."""

import json
import re
from pathlib import Path

from dcgan_tf import __version__
from dcgan_tf.common.atomic_write import write_text
from dcgan_tf.common.datasets import DATASETS
from dcgan_tf.common.foreign import is_count, read_json, read_lines
from dcgan_tf.common.labels import ENTRY
from dcgan_tf.common.limits import counted
from dcgan_tf.common.origin import ORIGIN, Origin
from dcgan_tf.common.pages import fill
from dcgan_tf.common.pretrained import FOLDER
from dcgan_tf.common.runs import Run
from dcgan_tf.common.scores import LABELS, cell, frechet_name, is_verdict, read_records
from dcgan_tf.export.command import ExportRequest
from dcgan_tf.models.pixels import range_of
from dcgan_tf.models.sampling import Sampler

CARD = "README.md"
CELEBA = "https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html"
# By data set: what a generator draws, and where its training images come from.
DRAWS = {
    "celeba": ("faces", "CelebA"),
    "folder": ("images", "a folder of images"),
    "mnist": ("handwritten digits", "MNIST"),
    "cifar10": ("small photographs", "CIFAR-10"),
    "demo": ("drawn faces", "faces that the program draws itself"),
    "auto": ("images", "images of a kind that is not known"),
}
_FILES = {
    "generator.keras": "the generator, a plain Keras model",
    "generator.onnx": "the same in ONNX: `latents` float32 (n, latent_dim) to `pictures`",
    "config.toml": "all settings of its training",
    ORIGIN: "the data sets of its training and of the networks it began from",
    "directions.npz": "named directions in its latent space",
    "explorer.html": "a page to play with it, which opens from disk",
    "grid.png": "the image above",
    ENTRY: "the labels that it can be asked for",
}
SHOWN = 12  # labels named on a card


def write_card(folder: Path, request: ExportRequest, sampler: Sampler, origin: Origin):
    """Write the card of a generator next to the files that it describes."""
    height, width, _ = sampler.picture_shape
    tanh = range_of(sampler.model) == "tanh"
    name, records = name_of(request.model, origin.run), _scores(origin.run, sampler.sha256)
    listed = [name for name in _FILES if (folder / name).is_file()]
    onnx = "generator.onnx" in listed
    parts = {
        "metadata": _metadata(name, origin, request.licence, records, onnx),
        "name": _plain(name),
        "draws": DRAWS[origin.data[0]][0] if origin.data else "images",
        "size": f"{width}x{height}",
        "license": _license(origin, request.licence),
        "normal_dim": str(sampler.normal_dim),
        **_label_parts(sampler),
        "to_unit": "(image + 1) / 2" if tanh else "image",
        "onnx": _template("card_onnx.md") if onnx else "",
        "files": "; ".join(f"`{name}`, {_FILES[name]}" for name in listed),
        "parameters": f"{sampler.model.count_params():,}",
        "shape": str(sampler.picture_shape),
        "range": "-1 to 1" if tanh else "0 to 1",
        "sha256": sampler.sha256[:12],
        "points": "\n".join(_points(request.model, origin, sampler, bool(records))),
        "scores": "".join(map(_table, records)),
        "version": __version__,
    }
    write_text(folder / CARD, fill(_template("card.md"), parts).decode())


def _template(name):
    return (Path(__file__).parent / name).read_text(encoding="utf-8")


def name_of(model: Path, run: Run) -> str:
    """The name of a generator: its run's, or its file's where it lies alone."""
    if run.root.parent == FOLDER or run.config.is_file():
        return run.root.resolve().name
    return model.stem


def _metadata(name, origin, license_id, records, onnx):
    """Lines of YAML; every value is written as JSON, which YAML reads as it stands."""
    tags = ["dcgan", "gan", "image-generation", "tensorflow", *origin.data]
    fields: dict = {"tags": tags + ["onnx"] * onnx, "license": license_id or "unknown"}
    if origin.bound:
        terms = f"{origin.bound}-{DATASETS[origin.bound].terms}".replace(" ", "-")
        fields |= {"license": "other", "license_name": terms, "license_link": CELEBA}
    if records:
        kind = origin.data[0] if origin.data else "unknown"
        results = {
            "task": {"type": "unconditional-image-generation"},
            "dataset": {"name": DRAWS[kind][1] if origin.data else kind, "type": kind},
            "metrics": [
                {"type": label.lower().replace(" ", "-"), "value": record[score], "name": label}
                for record in records
                for score, label in _labels(record).items()
            ],
        }
        fields["model-index"] = [{"name": name, "results": [results]}]
    return "\n".join(f"{field}: {json.dumps(value)}" for field, value in fields.items())


def _license(origin, license_id):
    if bound := origin.bound:
        own = bound == origin.data[0]
        how = "it was trained on" if own else "its training began from a network trained on"
        return (
            f"**For {DATASETS[bound].terms}**: {how} [{DRAWS[bound][1]}]({CELEBA}), whose "
            "license says so and holds for what is trained on it too."
        )
    text = f"License: {license_id}." if license_id else _template("card_no_license.md").strip()
    if not origin.complete:
        text += " What it was trained on is not known here in full; that has a license as well."
    return text


def _label_parts(sampler):
    """What the grid and a latent are, and code that asks for the first label; "" without any."""
    latent, labels = f"{sampler.normal_dim} standard normal numbers", sampler.labels
    if not labels:
        return {"latent": latent, "shown": "seeds 0 to 63", "json": "", "label": ""}
    every = "each class" if labels.n <= 64 else "each of the first 64 classes"
    shown = f"a row for {every}" if labels.classes else "seeds 0 to 63"
    code = [
        f'with open("{ENTRY}") as file:\n    names = json.load(file)["names"]',
        f"label = [[name == {labels.names[0]!r} for name in names]]",
        "latents = np.append(latents, label, axis=1)\n",
    ]
    latent += f" and {labels.n} of the label"
    return {"latent": latent, "shown": shown, "json": "json, ", "label": "\n".join(code)}


def _what_to_ask(labels):
    """Say what a generator can be asked for, and how."""
    if not labels:
        return ""
    named = ", ".join(map(_plain, labels.names[:SHOWN]))
    named += f", ... ({labels.n} in all, in `{ENTRY}`)" if labels.n > SHOWN else ""
    what = "one of the classes" if labels.classes else "yes or no for each of"
    label = _plain(labels.names[0] + "=1" * (not labels.classes))
    how = f"`dcgan generate generator.keras --label LABEL`, such as {label}"
    return f"{what} {named}; {how}. In a latent, 0 or 1 for each name after the normal numbers"


def _points(model, origin, sampler, scored):
    """List what is known; a bundled generator's own card says more than its last run."""
    run, config, sha256 = origin.run, origin.config, sampler.sha256
    points = {
        "Scores": "" if scored else "none were measured for these weights",
        "Data": "not known: there were no settings next to the file",
        "Memorization": _memorization(run, sha256),
        "Labels": _what_to_ask(sampler.labels),
        "Limits": "small images, some of which fail",
    }
    if not sampler.labels:
        points["Limits"] += "; no labels: it cannot be asked for something"
    if config:
        count = f"{config.subset:,}" if config.subset else "all"
        points["Data"] = f"{count} images of {DRAWS[config.dataset][1]}, cut and sized as "
        points["Data"] += "config.toml says"
        points["Training"] = _training(model, run, config)
    if "celeba" in origin.data:
        points["Limits"] += "; it has the bias of its data; no image of it shows a person"
    if run.root.parent == FOLDER and (run.root / CARD).is_file():
        text = (run.root / CARD).read_text(encoding="utf-8")
        own = dict(re.findall(r"^- \*\*(\w+)\*\*: (.*)$", text, re.MULTILINE))
        points |= {head: own[head] for head in points.keys() & own.keys() - {"Scores"}}
    return [f"- **{head}**: {text}" for head, text in points.items() if text]


def _training(model, run, config):
    """Tell how long it trained: by the last record of metrics.jsonl for this generator, if any."""
    length = (config.images, "image") if config.images else (config.epochs, "epoch")
    done = f"asked for {counted(*length)}"
    best = model.absolute() == run.best_generator.absolute()
    epoch = read_json(run.best_score).get("epoch") if best else None
    if best or model.absolute() == run.generator.absolute():
        for record in read_lines(run.metrics):
            known = is_count(record.get("images_seen")) and is_count(record.get("epoch"))
            if known and (not best or record["epoch"] == epoch):
                trained = counted(record["epoch"], "epoch")
                done = f"{trained}, {counted(record['images_seen'], 'image')}"
    ema = "" if config.average == "none" else "; the weights are an EMA of G's"
    start = "; it began from trained networks" if config.init_from else ""
    return f"{done}, loss {config.loss}, all settings in config.toml{ema}{start}"


def _memorization(run, sha256):
    record = read_json(run.memorisation)
    if not is_verdict(record) or record.get("generator_sha256") != sha256:
        return "not looked for"
    return (
        f"{_plain(record['verdict'])}: {record['copies']:.1%} of {record['samples']:,} generated "
        "images lie nearer to a training image, in pixels and in features, than real images of "
        f"others do; chance allows {record['allowed']:.1%}"
    )


def _scores(run, sha256):
    """Read the newest record of each Fréchet distance for exactly these weights."""
    records = read_records(run.evaluation)
    own = [r for r in records if r["protocol"].get("generator_sha256") == sha256]
    return list({frechet_name(record): record for record in own}.values())


def _labels(record):
    """{score: label} of a record; on other features than FID's the labels end in -768."""
    other = frechet_name(record) != "fid"
    return {
        name: label + "-768" * (other and name not in ("fid_768", "inception_score"))
        for name, label in LABELS.items()
        if record.get(name) is not None
    }


def _table(record):
    """The scores of one record and their protocol."""
    protocol, baseline = record["protocol"], record.get("floor") or {}
    count, reference = protocol.get("scored_count"), str(record.get("compared_with"))
    rows = [
        f"| {label} | {cell(record, name)} | {cell(baseline, name)} |"
        for name, label in _labels(record).items()
    ]
    if frechet_name(record) != "fid":
        rows.append("\nScores on 768 features are no FID: no published one compares with them.")
    parts = {
        "scored": f"{count:,} generated images" if is_count(count) else "Generated images",
        # Of a path the last name is left: where files lie is private.
        "reference": _plain(re.sub(r"(?<![^\s(])[^\s/\\]*[/\\](?:.*[/\\])?", "", reference)),
        "rows": "\n".join(rows),
        "protocol": json.dumps(protocol, indent=1),
    }
    return fill(_template("card_scores.md"), parts).decode()


def _plain(text):
    """Escape what Markdown or HTML would interpret."""
    return "".join(f"&#{ord(c)};" if c in "<>&|`[]*_\\\n" else c for c in str(text))
