"""The networks that come with the package: what they are, their card, and who uses them."""

import dataclasses
import json
import os

import keras
import numpy as np
import pytest
from helpers import generate, refused

from dcgan_tf import load_generator
from dcgan_tf.common import pretrained
from dcgan_tf.common.config import Config
from dcgan_tf.models.gan import DCGAN
from dcgan_tf.models.keras_file import read_structure
from dcgan_tf.models.loading import load_network
from dcgan_tf.train.init_from import warm_start, with_shape

NAMES = pretrained.names()


@pytest.fixture(params=NAMES)
def run(request):
    return pretrained.pretrained(request.param, "--pretrained")


def test_they_are_small_and_plain_keras(run):
    assert "faces" in NAMES
    assert run.generator.stat().st_size <= 8e6
    assert sum(path.stat().st_size for path in run.root.rglob("*")) <= 9e6
    for path in (run.generator, run.discriminator):
        structure, _ = read_structure(path, "")
        modules = {layer["module"] for layer in structure["config"]["layers"]}
        assert modules == {"keras.layers"}
        policies = {layer.dtype_policy.name for layer in load_network(path).layers}
        assert policies == {"float32"}, "half precision is slow on most processors"


def test_the_card_and_the_scores_are_those_of_the_file(run):
    card = (run.root / "README.md").read_text(encoding="utf-8")
    sha256 = load_generator(run.generator).sha256
    records = [json.loads(line) for line in run.evaluation.read_text(encoding="utf-8").splitlines()]
    assert {record["protocol"]["generator_sha256"] for record in records} == {sha256}
    assert sha256[:12] in card
    assert "non-commercial" in card
    for record in records:
        assert f"{record['fid_768']:.2f}" in card


@pytest.mark.slow
def test_generate_draws_with_them_and_writes_nothing_into_the_package(run, tmp_path):
    before = sorted(run.root.rglob("*"))
    done = generate("--pretrained", run.root.name, "--n", "4", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    written = tmp_path / "runs" / f"pretrained-{run.root.name}" / "generated" / "0001"
    assert (written / "grid.png").is_file()
    assert len(list((written / "images").iterdir())) == 4
    assert sorted(run.root.rglob("*")) == before


def test_load_generator_knows_their_name_but_a_run_of_that_name_comes_first(
    run, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    name = run.root.name
    os.mkdir(name)  # pictures of one's own, say
    pictures = load_generator(name).generate(range(3))
    assert pictures.dtype == np.uint8
    assert len(np.unique(pictures.reshape(3, -1), axis=0)) == 3
    latents = keras.Input((7,))
    own = keras.Model(
        latents, keras.layers.Reshape((8, 8, 1))(keras.layers.Dense(64, "tanh")(latents))
    )
    own.save(tmp_path / name / "generator.keras")
    assert load_generator(name).latent_dim == 7
    for unknown in ("fases", "", "../common", "faces/"):
        with refused("pretrained: unknown networks ", "faces"):
            pretrained.pretrained(unknown, "--pretrained")


@pytest.mark.slow
def test_a_training_starts_from_them(run):
    named = f"pretrained:{run.root.name}"
    config = Config(**with_shape({"batch_size": 4}, named, own=True))
    config = dataclasses.replace(config, init_from=named)
    model = DCGAN.from_config(dataclasses.replace(config, init_from=""))
    warm_start(config, model)
    expected = load_generator(run.generator).model.get_weights()
    for own, theirs in zip(model.generator.get_weights(), expected, strict=True):
        np.testing.assert_array_equal(own, theirs)
