"""A generator in other formats: the same images, one folder, whole or not at all."""

import dataclasses
import errno
import json
import os
import re
import runpy
import shutil
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers import little_memory, put_special, refused, resolved
from PIL import Image
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel
from tiny_gan import tiny
from tiny_run import VERDICT, score

from dcgan_tf.common.atomic_write import write_lines
from dcgan_tf.common.config_file import read_config, to_toml
from dcgan_tf.common.datasets import DATASETS
from dcgan_tf.common.directions import Directions, read_directions, write_directions
from dcgan_tf.common.labels import Labels
from dcgan_tf.common.pretrained import FOLDER
from dcgan_tf.common.runs import Run
from dcgan_tf.explore import runtime
from dcgan_tf.explore.page import hash_of
from dcgan_tf.export import card, exporting, formats, hub
from dcgan_tf.export.__main__ import main
from dcgan_tf.export.pytorch import write_pytorch
from dcgan_tf.models.loading import load_generator
from dcgan_tf.models.networks import build_generator
from dcgan_tf.models.sampling import seed_latents
from dcgan_tf.models.saving import save_network

ONNX = formats.FORMATS["onnx"]
HAS_ONNX = not ONNX.missing()
needs_onnx = pytest.mark.skipif(not HAS_ONNX, reason='needs pip install ".[onnx]"')


@pytest.fixture(scope="module")
def networks(tmp_path_factory):
    """{kind: a generator's file}, each with large weights, so that images differ by far."""
    folder = tmp_path_factory.mktemp("networks")
    for name, kind, kernel in (
        ("celeba", "sigmoid", 4),
        ("radford", "tanh", 5),
        ("mnist", "gray", 4),
    ):
        config = tiny(name, init_stddev=0.3, kernel_size=kernel)
        build_generator(config).save(folder / f"{kind}.keras")
    return {path.stem: path for path in folder.iterdir()}


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(exporting, "SECONDS", 0.0)
    monkeypatch.setattr(hub, "COUNT", 1)


@pytest.fixture
def without_onnx(monkeypatch):
    """As where its packages are not installed; a folder for a hub takes half as long then."""
    monkeypatch.setattr(formats, "find_spec", lambda name: None)


@pytest.fixture
def run(here, networks):
    """A run with a generator and its settings, and nothing else."""
    run = Run(here / "runs" / "0001-demo")
    run.root.mkdir(parents=True)
    run.generator.write_bytes(networks["sigmoid"].read_bytes())
    run.config.write_text(to_toml(tiny("demo", data="/home/somebody/faces.zip", epochs=7)))
    return run


def export(*argv):
    main([str(arg) for arg in argv])


def files_in(folder):
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.slow
@pytest.mark.parametrize("activation", ["sigmoid", "tanh"])
@pytest.mark.parametrize("name", [*formats.FORMATS])
def test_each_format_makes_the_images_of_keras(name, activation, networks, tmp_path, capfd):
    form, out = formats.FORMATS[name], tmp_path / "out"
    if form.missing():
        pytest.skip(form.missing())
    load_generator(networks[activation])  # what TensorFlow says at its first operation
    capfd.readouterr()
    out.mkdir()  # an empty folder may be named
    export("--model", networks[activation], "--to", f"{name},{name}", "--out", out)
    said = capfd.readouterr()
    assert said.err == "" and [path.name for path in out.iterdir()] == [form.file]
    (line,) = [line for line in said.out.splitlines() if line.startswith(form.file)]
    _, size, off, alone, together = line.split()
    found = [path for path in out.rglob("*") if path.is_file()]
    assert int(size.replace(",", "")) == sum(path.stat().st_size for path in found)
    assert float(off) < exporting.TOLERANCE and float(alone) > 0 and float(together) > 0
    if name == "saved_model":
        assert_bound_to_no_device(out / form.file)
    generator = keras.saving.load_model(networks[activation])
    latents = seed_latents(range(100, 105), generator.input_shape[1])
    forward = form.load(out / form.file)
    for count in (5, 1):  # in any number
        images = forward(latents[:count])
        expected = np.asarray(generator(latents[:count], training=False))
        assert np.ptp(expected) > 0.1 and images.dtype == np.float32
        np.testing.assert_allclose(images, expected, atol=1e-4)


def assert_bound_to_no_device(folder):
    """Or it would run on the CPU, whatever the machine has that it is taken to."""
    saved = SavedModel()
    saved.ParseFromString((folder / "saved_model.pb").read_bytes())
    nodes = [n for g in saved.meta_graphs for f in g.graph_def.library.function for n in f.node_def]
    forward = [node for node in nodes if "Save" not in node.op and "Restore" not in node.op]
    assert len(forward) > 20
    assert {node.device for node in forward if "Conv2D" in node.op} == {""}


@pytest.mark.slow
def test_the_next_free_folder_of_the_run_or_a_word_on_why_not(run, monkeypatch):
    for _ in range(2):
        export("--run", run.root, "--to", "keras")
    exported = [f"exported/{number}/generator.keras" for number in ("0001", "0002")]
    assert files_in(run.root) == {"config.toml", "generator.keras", *exported}
    mkdir = Path.mkdir

    def read_only(path, *args, **named):
        if path.name == "0003":
            raise OSError(errno.EROFS, "Read-only file system", str(path))
        mkdir(path, *args, **named)

    monkeypatch.setattr(Path, "mkdir", read_only)
    with refused(f"--out {run.root / 'exported' / '0003'}: ", "Read-only", "another place"):
        export("--run", run.root, "--to", "keras")
    shutil.rmtree(run.root / "exported")
    (run.root / "exported").write_bytes(b"")
    with refused(f"--out {run.root / 'exported'}: ", "not a folder"):
        export("--run", run.root, "--to", "keras")


@pytest.mark.slow
def test_half_precision_becomes_float32(tmp_path):
    try:
        keras.config.set_dtype_policy("mixed_bfloat16")
        build_generator(tiny(init_stddev=0.3)).save(tmp_path / "half.keras")
    finally:
        keras.config.set_dtype_policy("float32")
    export("--model", tmp_path / "half.keras", "--to", "keras,litert", "--out", tmp_path / "out")
    half, full = (load_generator(tmp_path / n) for n in ("half.keras", "out/generator.keras"))
    assert half.sha256 == full.sha256
    assert half.model.get_layer("up1").compute_dtype == "bfloat16"
    assert full.model.get_layer("up1").compute_dtype == "float32"


@pytest.mark.slow
def test_other_images_shapes_and_errors_are_refused_and_nothing_is_left(run, monkeypatch, tmp_path):
    form = formats.FORMATS["keras"]

    def fail(path):
        raise tf.errors.DataLossError(None, None, "Input/output error")

    def a_level_off(path):
        forward = form.load(path)
        return lambda latents: forward(latents) + np.float32(1 / 255)

    nan, gray = np.full((64, 64, 64, 3), np.nan), np.zeros((64, 64, 64, 1))
    before = files_in(tmp_path)
    for load, words in (
        (a_level_off, ["up to 1 gray level", "0.05 at most"]),
        (lambda path: lambda latents: nan, ["differ"]),
        (lambda path: lambda latents: gray, ["differ"]),
        (fail, ["Input/output error"]),
    ):
        wrong = dataclasses.replace(form, load=load)
        monkeypatch.setitem(formats.FORMATS, "keras", wrong)
        for out in ((), ("--out", tmp_path / "new" / "out")):
            with refused("Keras", *words):
                export("--run", run.root, "--to", "keras", *out)
        assert files_in(tmp_path) == before
        assert not [*run.root.glob("exported/*"), *tmp_path.glob("new/*")]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["litert", "onnx", "pytorch"])
def test_what_a_format_cannot_hold_is_refused(name, tmp_path):
    if why := formats.FORMATS[name].missing():
        pytest.skip(why)
    latents = keras.Input((48,))
    x = keras.layers.Reshape((4, 4, 3))(latents)
    x = keras.layers.Resizing(8, 8, antialias=True)(x)  # of which neither has an operation
    path = tmp_path / "odd.keras"
    keras.Model(latents, keras.layers.Activation("sigmoid")(x)).save(path)
    export("--model", path, "--to", "keras,saved_model", "--out", tmp_path / "out")
    with refused(f"cannot be written as {formats.FORMATS[name].title}"):
        export("--model", path, "--to", f"keras,{name}", "--out", tmp_path / "other")
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["--to", "onxx"], ["--to: unknown format onxx", "did you mean onnx?"]),
        (["--to", ""], ["--to: got an empty list"]),
        (["--to", "keras,onnx"], ["--to onnx: ONNX needs onnx,", 'pip install ".[onnx]"']),
        (["--license", "mit"], ["--to hub"]),
        (["--to", "hub", "--license", "MIT licence\n"], ["expected an identifier"]),
        (["--model", "nowhere.keras"], ["nowhere.keras: no such file"]),
        (["runs/0000-bad", "--to", "hub"], ["config.toml", "not valid TOML"]),
        (["--out", "full"], ["--out full", "has files already"]),
        (["--out", "."], ["--out .", "expected the name of a new folder"]),
        (["--out", "file"], ["--out file", "this is a file"]),
        (["--out", "file/under"], ["--out file/under", "is not a folder"]),
    ],
)
def test_mistakes_are_refused_in_a_line(argv, words, run, here, monkeypatch):
    monkeypatch.setattr(formats, "find_spec", lambda name: name != "onnx")
    (here / "full").mkdir()
    (here / "full" / "x").touch()
    (here / "file").touch()
    (here / "runs/0000-bad").mkdir()
    (here / "runs/0000-bad/config.toml").write_text("epochs = [")
    (here / "runs/0000-bad/generator.keras").write_bytes(run.generator.read_bytes())
    before = files_in(here)
    with refused(*words):
        export(*argv)
    assert files_in(here) == before
    assert card.DRAWS.keys() == DATASETS.keys()


def card_of(run, *argv):
    """(dict, str): the metadata and the text of the card that an export makes."""
    export("--run", run.root, "--to", "hub", *argv)
    folder = sorted((run.root / "exported").iterdir())[-1] / "hub"
    return *read_card(folder / "README.md"), folder


def read_card(path):
    _, block, text = path.read_text(encoding="utf-8").split("---\n", 2)
    pairs = [line.split(": ", 1) for line in block.splitlines()]
    return {name: json.loads(value) for name, value in pairs}, text


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sigmoid", "tanh", "gray"])
def test_the_folder_for_a_hub_and_the_code_on_its_card(kind, run, networks, monkeypatch):
    run.generator.write_bytes(networks[kind].read_bytes())
    metadata, text, folder = card_of(run)
    onnx = {"generator.onnx"} if HAS_ONNX else set()
    names = {"README.md", "config.toml", "directions.npz", "generator.keras", "grid.png"} | onnx
    names |= {"origin.json"}
    assert files_in(folder) == names
    assert all(f"`{name}`" in text for name in names - {"README.md"})
    assert metadata["library_name"] == "keras" and "dcgan" in metadata["tags"]
    assert ("onnx" in metadata["tags"]) == HAS_ONNX and "model-index" not in metadata
    for words in ("none were measured", "not looked for", "asked for 7 epochs", "drawn faces"):
        assert words in text
    sampler = load_generator(run.root)
    assert sampler.sha256[:12] in text
    side, scale = sampler.picture_shape[0], 3 if kind == "gray" else 1
    first = np.asarray(Image.open(folder / "grid.png"))[::scale, ::scale][:side, :side]
    assert np.array_equal(first.reshape(sampler.picture_shape), sampler.generate(seeds=[0])[0])
    assert read_config(folder / "config.toml").epochs == 7
    for content in map(Path.read_bytes, folder.iterdir()):  # no card tells where files lie
        assert b"somebody" not in content and bytes(run.root.parent) not in content
    monkeypatch.chdir(folder)
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert len(blocks) == 1 + HAS_ONNX
    expected, names = sampler.generate(seeds=[7])[0], {}
    for block in blocks:
        exec(block, names)
        unit = names["image"] if kind == "sigmoid" else (names["image"] + 1) / 2
        assert np.abs(255 * unit - expected).max() < 0.6
    # Keras' own pass and ours round otherwise, by a gray level at most.
    apart = np.asarray(Image.open("seed7.png"), int) - expected.squeeze()
    assert np.abs(apart).max() <= 1 and (apart == 0).mean() > 0.99


ANIMALS = Labels(("c`t", "*dog*", *map(str, range(68))), True, (1, 0, 3))
TRAITS = Labels(("Smiling", "Male", "a=b"), False, (2, 0, 7))


@pytest.mark.slow
@pytest.mark.usefixtures("without_onnx")
@pytest.mark.parametrize(
    ("labels", "first"), [(ANIMALS, "c`t"), (TRAITS, "Smiling=1,Male=0,a=b=0")]
)
def test_the_card_of_a_labeled_generator_says_how_to_ask(labels, first, run, monkeypatch):
    network = build_generator(tiny(init_stddev=0.3), labels=labels)
    save_network(network, run.generator)
    _, text, folder = card_of(run)
    assert "`labels.json`" in text and "it cannot be asked for" not in text
    assert Labels(**json.loads((folder / "labels.json").read_text())) == labels
    length = network.input_shape[1] - labels.n
    assert f"{length} standard normal numbers and {labels.n} of the label to" in text
    with Image.open(folder / "grid.png") as grid:
        rows = "a row for each of the first 64 classes"  # one image each
        shown = rows if labels.classes else "seeds 0 to 63"
        assert (
            f"Generated, not chosen: {shown}." in text and ("rows" in grid.text) == labels.classes
        )
    if labels.classes:
        assert "- **Labels**: one of the classes c&#96;t, &#42;dog&#42;, 0, " in text
        assert ", 9, ... (70 in all, in `labels.json`); `dcgan generate" in text
    else:
        assert "yes or no for each of Smiling, Male, a=b; `dcgan generate generator.keras" in text
    monkeypatch.chdir(folder)
    (block,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    exec(block, {})
    expected = load_generator(folder / "generator.keras").generate(seeds=[7], label=first)[0]
    assert np.abs(np.asarray(Image.open("seed7.png"), int) - expected).max() <= 1


@pytest.mark.slow
@pytest.mark.parametrize("labels", [ANIMALS, TRAITS])
def test_the_script_for_pytorch_takes_a_label(labels, here, monkeypatch):
    pytest.importorskip("safetensors", reason='needs pip install ".[pytorch]"')
    config = resolved("--config", "celeba", "--width", 0.05, "--init-stddev", 0.3)
    network = build_generator(config, labels=labels)
    save_network(network, here / "a.keras")
    write_pytorch(network, here / "pytorch")
    lines = (here / "pytorch/generator.py").read_text().splitlines()
    assert len(lines) <= 40 and max(map(len, lines)) <= 100
    pytest.importorskip("torch", reason="needs PyTorch")
    sampler = load_generator(here / "a.keras")
    for label in ("", "*dog*" if labels.classes else "Male=1, a=b=1"):
        argv = ["generator.py", *["--label", label] * bool(label), "0", "5"]
        monkeypatch.setattr(sys, "argv", argv)
        runpy.run_path("pytorch/generator.py", run_name="__main__")
        expected = sampler.generate(seeds=[0, 5], label=label or None).astype(int)
        for seed, image in zip((0, 5), expected, strict=True):
            assert np.abs(np.asarray(Image.open(f"seed{seed}.png"), int) - image).max() <= 1
    for label in ("cow=1", "Male=2"):
        monkeypatch.setattr(sys, "argv", ["generator.py", "--label", label, "0"])
        with pytest.raises(ValueError, match="is not in list"):
            runpy.run_path("pytorch/generator.py", run_name="__main__")
    monkeypatch.setattr(sys, "argv", ["generator.py"])
    runpy.run_path("pytorch/generator.py", run_name="__main__")  # no seeds, no images


@pytest.mark.usefixtures("without_onnx")
def test_scores_stand_under_their_own_name_with_their_protocol(run):
    sha256 = load_generator(run.root).sha256
    of_these = {"generator_sha256": sha256, "scored_count": 1000}
    write_lines(
        run.evaluation,
        [score(2, 0.9, **of_these), score(4, 0.7, **of_these), score(6, 0.1)],  # the last of others
    )
    fid = score(2, 9.0, generator_sha256=sha256, layer="pool_3") | {"floor": None}
    fid["fid"] = fid.pop("fid_768")
    with run.evaluation.open("a") as file:
        file.write(json.dumps(fid) + "\n")
    write_lines(run.metrics, [{"epoch": n, "images_seen": 320 * n} for n in range(1, 7)])
    verdict = VERDICT | {"generator_sha256": sha256}
    run.memorisation.write_text(json.dumps(verdict))
    metadata, text, _ = card_of(run)
    ((named, results),) = [(m["name"], m["results"][0]) for m in metadata["model-index"]]
    assert named == "0001-demo" and results["dataset"]["type"] == "demo"
    metrics = {metric["name"]: metric["value"] for metric in results["metrics"]}
    assert metrics == {
        **{"FID-768": 0.7, "KID-768": 0.00123, "precision-768": 0.5, "recall-768": 0.25},
        **{"FID": 9.0, "KID": 0.00123, "precision": 0.5, "recall": 0.25},
    }
    assert results["metrics"][0]["type"] == "fid-768"
    assert "| FID-768 | 0.7000 | 0.0500 |" in text and "| FID | 9.0000 | - |" in text
    assert "0.1000" not in text
    assert f'"generator_sha256": "{sha256}"' in text and "1,000 generated images vs. " in text
    assert "6 epochs, 1,920 images" in text
    assert "no sign of copying: 0.4% of 2,000 generated images" in text
    run.best_generator.parent.mkdir()
    run.best_generator.write_bytes(run.generator.read_bytes())
    run.best_score.write_text(json.dumps(score(4, 0.7)))
    export("--model", run.best_generator, "--to", "hub")
    _, text = read_card(run.root / "exported/0002/hub/README.md")
    assert "4 epochs, 1,280 images" in text and "# 0001-demo:" in text


def write_config(run, **changes):
    run.config.write_text(to_toml(tiny(**{"name": "demo", **changes})))


FOREIGN, FROM_FACES = (
    {"dataset": "folder", "init_from": before} for before in ("runs/gone", "pretrained:faces")
)


@pytest.mark.usefixtures("without_onnx")
@pytest.mark.parametrize(
    ("changes", "license_id", "words"),
    [
        ({"dataset": "celeba"}, "", "**For non-commercial research only**: it was trained on"),
        (FROM_FACES, "", "**For non-commercial research only**: its training began from"),
        ({}, "unknown", "**License not chosen yet.**"),
        (FOREIGN, "cc-by-4.0", "License: cc-by-4.0."),
    ],
)
def test_the_data_set_or_else_the_user_says_the_license(changes, license_id, words, run):
    run.versions.write_text(json.dumps({"directory": str(run.root)}))
    write_config(run, **changes)
    metadata, text, folder = card_of(run, *["--license", license_id] * (changes == FOREIGN))
    assert text.split("\n\n")[1].startswith(words)
    assert ("is not known here in full" in text) == (changes == FOREIGN)
    if license_id:
        assert metadata["license"] == license_id and "license_name" not in metadata
        return
    assert metadata["license"] == "other" and metadata["license_link"] == card.CELEBA
    assert metadata["license_name"] == "celeba-non-commercial-research-only"
    # Of the places only the name of bundled networks is published.
    assert read_config(folder / "config.toml").init_from == changes.get("init_from", "")
    with refused("--license mit", "celeba", "leave the flag out"):
        card_of(run, "--license", "mit")


@pytest.mark.usefixtures("without_onnx")
def test_the_card_of_the_package_s_own_generator_says_what_its_own_says(here):
    export("--pretrained", "faces", "--to", "hub")
    metadata, text = read_card(here / "runs/pretrained-faces/exported/0001/hub/README.md")
    assert metadata["license_name"] == "celeba-non-commercial-research-only"
    assert "| FID-768 | 0.1910 | - |" in text and "# faces: a generator of faces" in text
    own = (FOLDER / "faces" / "README.md").read_text(encoding="utf-8")
    for name in ("Data", "Training", "Memorization", "Limits"):
        (line,) = re.findall(rf"^- \*\*{name}\*\*: .*$", own, re.MULTILINE)
        assert text.count(f"- **{name}**") == 1 and line in text
    assert "asked for" not in text and "not looked for" not in text
    assert "generator.onnx" not in text and "discriminator.keras`" not in text


@pytest.mark.usefixtures("without_onnx")
def test_a_file_alone_whose_hostile_name_stays_text(networks, here, capsys, caplog):
    model = here / "<script>alert(1)<∕script>: [x](y) *`_.keras"
    model.write_bytes(networks["tanh"].read_bytes())
    own = score(2, 0.9, generator_sha256=load_generator(model).sha256)
    words = "the rest of /home/me/my faces/celeba.zip, <img src=x> | ```"
    write_lines(here / "evaluation.jsonl", [own | {"compared_with": words}])
    export("--model", model, "--to", "hub", "--out", here / "out")
    assert f"dcgan_tf.explore --model '{model}'" in capsys.readouterr().out
    metadata, text = read_card(here / "out/hub/README.md")
    assert metadata["model-index"][0]["name"] == model.stem
    assert "<script" not in text and "<img" not in text and "&#60;img" in text
    assert "the rest of celeba.zip, " in text and "/home" not in text and "my faces" not in text
    assert metadata["license"] == "unknown" and "not known here in full" in text
    assert ": a generator of images at 64x64" in text and "no settings next to" in text
    assert "without a model in ONNX" in caplog.text and "generator.onnx" not in text
    assert not {"config.toml", "generator.onnx"} & files_in(here / "out/hub")


@needs_onnx
@pytest.mark.slow
@pytest.mark.skipif(not os.environ.get("ONNXRUNTIME_WEB"), reason="needs ONNXRUNTIME_WEB")
def test_the_explorer_is_written_where_its_runtime_is_kept(run, tmp_path, monkeypatch, caplog):
    caplog.set_level("INFO")
    monkeypatch.setenv("HOME", str(tmp_path))
    kept = tmp_path / ".cache/dcgan_tf" / f"onnxruntime-web-{runtime.VERSION}"
    kept.mkdir(parents=True)
    for name in runtime.FILES:
        shutil.copyfile(Path(os.environ["ONNXRUNTIME_WEB"], name), kept / name)
    _, text, folder = card_of(run)
    page = (folder / "explorer.html").read_bytes()
    assert load_generator(run.root).sha256.encode() in page and b"component 1" in page
    assert "`explorer.html`" in text
    assert ".making" not in caplog.text  # where it was written before it was moved


@pytest.mark.usefixtures("without_onnx")
def test_directions_and_explorer_go_along_if_they_are_of_these_weights(run, caplog):
    sampler = load_generator(run.root)
    sha256, vectors = sampler.sha256, np.eye(2, sampler.latent_dim, dtype=np.float32)
    own = Directions(("a", "b"), vectors, ("kernel",) * 2, np.ones(2, np.float32), sha256)
    write_directions(run.directions, own)
    (run.root / "explorer.html").write_text(f"<html>{sha256} {hash_of(own)}</html>")
    _, text, folder = card_of(run)
    assert read_directions(folder / "directions.npz", sampler, "").names == ("a", "b")
    assert sha256 in (folder / "explorer.html").read_text()
    assert "`directions.npz`" in text and "`explorer.html`" in text
    more = dataclasses.replace(own, names=("a", "c"))  # found after the page was written
    write_directions(run.directions, more)
    assert "explorer.html" not in files_in(card_of(run)[2])
    write_directions(run.directions, dataclasses.replace(own, generator="0" * 64))
    (run.root / "explorer.html").unlink()
    put_special(run.root / "explorer.html", "huge")
    with little_memory(1e9):
        _, text, folder = card_of(run)
    made = read_directions(folder / "directions.npz", sampler, "")
    assert made.names == ("kernel 1", "component 1")
    assert "explorer.html" not in files_in(folder)
    assert [name in text for name in ("directions.npz", "explorer.html")] == [True, False]
    assert "hub: left out" in caplog.text and "directions of another generator" in caplog.text
    assert f"dcgan_tf.explore --model {run.generator} --static {run.root}/explorer" in caplog.text
