"""Model card of a generator: README.md with the metadata that model hubs read."""

import json
import re
from dataclasses import dataclass

from dcgan_tf import __version__
from dcgan_tf.common.config import Config
from dcgan_tf.common.datasets import DATASETS
from dcgan_tf.common.limits import counted
from dcgan_tf.common.origin import Origin
from dcgan_tf.common.scores import LABELS, cell, frechet_name

CELEBA = "https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html"
# What a generator of each data set draws, and where it has its pictures from.
_DRAWS = {
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


@dataclass(frozen=True)
class Facts:
    """All that the card tells.

    Attributes:
        name: of the generator; origin: whose pictures made it.
        picture_shape: (height, width, channels); latent_dim: numbers in a latent.
        activation: "sigmoid" or "tanh", which fixes the range of its pictures.
        parameters: how many; sha256: over the float32 weights.
        seen: `epoch` and `images_seen` of its training, {} where not known.
        records: scores of these weights, with their stamps; memorisation: the verdict, or {}.
        licence: an identifier, None where the user said none.
        told: {heading: text} of a card that it has already, which says more than can be read here.
        files: names of what lies beside the card.
    """

    name: str
    origin: Origin
    picture_shape: tuple[int, int, int]
    latent_dim: int
    activation: str
    parameters: int
    sha256: str
    seen: dict
    records: tuple[dict, ...]
    memorisation: dict
    licence: str | None
    told: dict
    files: tuple[str, ...] = ()

    @property
    def draws(self) -> str:
        """What is in its pictures."""
        return _DRAWS[self.origin.data[0]][0] if self.origin.data else "pictures"


def card(facts: Facts) -> str:
    """The whole file: metadata in YAML, then the card in Markdown."""
    height, width, _ = facts.picture_shape
    parts = [
        _metadata(facts),
        f"# {_plain(facts.name)}: a generator of {facts.draws} at {width}x{height}\n",
        _licence(facts) + "\n",
        "![A grid of generated pictures](grid.png)\n\nGenerated, not chosen: seeds 0 to 63.\n",
        _use(facts),
        "\n".join(f"- **{head}**: {text}" for head, text in _points(facts) if text) + "\n",
        *map(_score, facts.records),
        f"Made with dcgan_tf {__version__}.\n",
    ]
    return "\n".join(parts)


def _metadata(facts):
    """The YAML block; every text in it is written as JSON, which YAML reads as it stands."""
    tags = ["dcgan", "gan", "image-generation", "tensorflow", *facts.origin.data]
    tags += ["onnx"] if "generator.onnx" in facts.files else []
    fields = {"library_name": "keras", "pipeline_tag": "unconditional-image-generation"}
    fields |= {"tags": tags, **_licence_fields(facts)}
    if facts.records:
        fields["model-index"] = [{"name": facts.name, "results": [_results(facts)]}]
    lines = [f"{name}: {json.dumps(value)}" for name, value in fields.items()]
    return "\n".join(["---", *lines, "---", ""])


def _licence_fields(facts):
    if facts.origin.bound:
        name = f"{facts.origin.bound}-{DATASETS[facts.origin.bound].terms}".replace(" ", "-")
        return {"license": "other", "license_name": name, "license_link": CELEBA}
    return {"license": facts.licence or "unknown"}


def _results(facts):
    """dict: the scores as a hub lists them, each under its own name."""
    named = facts.origin.data[0] if facts.origin.data else "unknown"
    metrics = [
        {"type": _label(name, record).lower().replace(" ", "-"), "value": record[name]}
        | {"name": _label(name, record)}
        for record in facts.records
        for name in LABELS
        if record.get(name) is not None
    ]
    return {
        "task": {"type": "unconditional-image-generation"},
        "dataset": {"name": _DRAWS[named][1] if named in _DRAWS else named, "type": named},
        "metrics": metrics,
    }


def _label(name, record):
    """str: the name of a score; of other features than those of FID it says so."""
    other = frechet_name(record) != "fid" and name not in ("fid_768", "inception_score")
    return LABELS[name] + ("-768" if other else "")


def _licence(facts):
    if bound := facts.origin.bound:
        own = bound == facts.origin.data[0]
        how = "it was trained on" if own else "its training began from a network trained on"
        return (
            f"**For {DATASETS[bound].terms}**: {how} [{_DRAWS[bound][1]}]({CELEBA}), whose "
            "licence says so and holds for what is trained on it too."
        )
    if facts.licence:
        text = f"Licence: {facts.licence}."
    else:
        text = (
            "**Licence not chosen yet.** It is for whoever publishes this generator to choose, "
            "within what the licence of its training pictures allows; that of the code that "
            "trained it (MIT) says nothing about it."
        )
    if not facts.origin.complete:
        text += (
            " What it was trained on, or began from, is not known here in full; that has a licence "
            "as well."
        )
    return text


def _use(facts):
    to_unit = "(picture + 1) / 2" if facts.activation == "tanh" else "picture"
    code = [
        "import keras, numpy as np",
        "from PIL import Image",
        "",
        'generator = keras.saving.load_model("generator.keras", compile=False)',
        f"latents = np.random.RandomState(7).randn(1, {facts.latent_dim})  # of seed 7",
        'latents = latents.astype("float32")',
        "picture = generator.predict(latents, verbose=0)[0]",
        f'pixels = np.rint(np.clip({to_unit}, 0, 1) * 255).astype("uint8").squeeze()',
        'Image.fromarray(pixels).save("seed7.png")',
    ]
    onnx = [
        "import onnxruntime",
        "",
        'session = onnxruntime.InferenceSession("generator.onnx")',
        'picture = session.run(["pictures"], {"latents": latents})[0][0]  # as above',
    ]
    blocks = [code] + ([onnx] if "generator.onnx" in facts.files else [])
    return "\n".join("```python\n" + "\n".join(block) + "\n```\n" for block in blocks)


def _points(facts):
    """Headings and texts of the list; an empty text is left out."""
    files = "; ".join(
        f"`{name}`, {_FILES[name].format(latent_dim=facts.latent_dim)}"
        for name in _FILES
        if name in facts.files
    )
    span = "-1 to 1" if facts.activation == "tanh" else "0 to 1"
    height, width, channels = facts.picture_shape
    network = (
        f"{facts.parameters:,} parameters; {facts.latent_dim} standard normal numbers to "
        f"({height}, {width}, {channels}) in {span}. Weights: SHA-256 {facts.sha256[:12]}... over "
        "the float32 weights in order"
    )
    config = facts.origin.config
    yield "Files", files
    yield "Network", network
    yield "Scores", "" if facts.records else "none were measured of these weights"
    found = {
        "Data": _data(config) if config else "not known: no settings lay beside the file",
        "Training": _training(config, facts.seen) if config else "",
        "Memorisation": _memorisation(facts.memorisation),
        "Limits": _limits(facts),
    }
    yield from ((head, facts.told.get(head, text)) for head, text in found.items())


def _data(config: Config):
    count = f"{config.subset:,} pictures" if config.subset else "all pictures"
    which = f" (`--subset-seed {config.subset_seed}`)" if config.subset else ""
    crop = "their largest centred square" if config.crop == "center" else f"the box {config.crop}"
    mirrored = ", mirrored at random" if config.flip else ""
    return (
        f"{count} of {_DRAWS[config.dataset][1]}{which}; {crop}, at {config.image_size}x"
        f"{config.image_size}{mirrored}"
    )


def _training(config: Config, seen):
    done = f"asked for {counted(config.epochs, 'epoch')}"
    if seen:
        done = f"{counted(seen['epoch'], 'epoch')}, {counted(seen['images_seen'], 'image')}"
    average = "" if config.average == "none" else "; the weights are an average of G's"
    start = "; it began from trained networks" if config.init_from else ""
    return (
        f"{done}, batches of {config.batch_size}, seed {config.seed}, loss {config.loss}"
        f"{average}{start}"
    )


def _memorisation(record):
    if not record:
        return "not looked for"
    return (
        f"{_plain(record['verdict'])}: {record['copies']:.1%} of "
        f"{record['samples']:,} samples lie nearer to a training picture, in pixels and in "
        f"features, than real pictures of others do; chance allows {record['allowed']:.1%}"
    )


def _limits(facts):
    faces = "celeba" in facts.origin.data
    people = "; it has the bias of its data; no picture of it shows a person" if faces else ""
    return (
        f"small pictures, some of which fail; no labels: it cannot be asked for something{people}"
    )


def _score(record):
    """A table of the scores of one record, with its stamp."""
    floor = record.get("floor") or {}
    rows = [
        f"| {_label(name, record)} | {cell(record, name)} | {cell(floor, name)} |"
        for name in LABELS
        if record.get(name) is not None
    ]
    protocol = record["protocol"]
    count = protocol.get("scored_count")
    scored = f"{count:,} of its pictures" if isinstance(count, int) else "Its pictures"
    lines = [
        f"{scored} against {_plain(_without_paths(record.get('compared_with')))}:",
        "",
        "| score | these pictures | real against real |",
        "|---|---|---|",
        *rows,
        "",
    ]
    if frechet_name(record) != "fid":
        lines += ["Scores on 768 features are no FID: no published one compares with them.", ""]
    lines += ["Their stamp; scores with another stamp cannot be compared with these:", ""]
    lines += ["```json", json.dumps(protocol, indent=1), "```", ""]
    return "\n".join(lines)


def _without_paths(text):
    """str: a text in which of a path, with blanks or not, the last name is left.

    Where files lie is nobody's business.
    """
    return re.sub(r"(?<![^\s(])[^\s/\\]*[/\\](?:.*[/\\])?", "", str(text))


def _plain(text):
    """Any text without what Markdown or HTML would take for its own."""
    return "".join(f"&#{ord(c)};" if c in "<>&|`[]*_\\\n" else c for c in str(text))
