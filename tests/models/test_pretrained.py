"""The networks that come with the package: how they are made, their card, and who uses them."""

import dataclasses
import json
import os
import runpy
import subprocess
import sys

import keras
import numpy as np
import pytest
from helpers import REPO, generate, refused
from tiny_gan import tiny

from dcgan_tf import load_generator
from dcgan_tf.common import pretrained
from dcgan_tf.common.config import Config
from dcgan_tf.common.config_file import read_config, to_toml
from dcgan_tf.common.runs import Run
from dcgan_tf.models.gan import DCGAN
from dcgan_tf.models.keras_file import read_structure
from dcgan_tf.models.loading import load_network
from dcgan_tf.train.init_from import warm_start, with_shape

NAMES = pretrained.names()


@pytest.fixture(params=NAMES)
def run(request):
    return pretrained.pretrained(request.param, "--pretrained")


def test_they_are_small_and_plain_keras_and_have_a_card_of_their_own(run):
    assert "faces" in NAMES
    assert run.generator.stat().st_size <= 8e6
    assert sum(path.stat().st_size for path in run.root.rglob("*")) <= 14e6
    for path in (run.generator, run.discriminator):
        structure, _ = read_structure(path, "")
        modules = {layer["module"] for layer in structure["config"]["layers"]}
        assert modules == {"keras.layers"}
        policies = {layer.dtype_policy.name for layer in load_network(path).layers}
        assert policies == {"float32"}, "half precision is slow on most processors"
    # The card and the scores are those of the file.
    card = (run.root / "README.md").read_text(encoding="utf-8")
    sha256 = load_generator(run.generator).sha256
    records = [json.loads(line) for line in run.evaluation.read_text(encoding="utf-8").splitlines()]
    assert {record["protocol"]["generator_sha256"] for record in records} == {sha256}
    assert sha256[:12] in card and "non-commercial" in card
    for record in records:
        assert f"{record['fid_768']:.2f}" in card


def test_the_script_that_makes_them_averages_g_over_the_runs_and_rounds(tmp_path, monkeypatch):
    runs, models = [], []
    for seed in (1, 2, 3):
        config = tiny(seed=seed, data=str(tmp_path))
        models.append(DCGAN.from_config(config))
        runs.append(Run(tmp_path / str(seed)))
        runs[-1].root.mkdir()
        runs[-1].config.write_text(to_toml(config), encoding="utf-8")
        models[-1].generator.save(runs[-1].generator)
        models[-1].discriminator.save(runs[-1].discriminator)
    monkeypatch.setattr(pretrained, "FOLDER", tmp_path / "made")
    words = [str(REPO / "docs/make_pretrained.py"), *(str(run.root) for run in runs), "tiny"]
    monkeypatch.setattr(sys, "argv", words)
    runpy.run_path(words[0], run_name="__main__")

    made = Run(tmp_path / "made" / "tiny")
    weights_of_g = zip(*(model.generator.get_weights() for model in models), strict=True)
    for expected, path in (
        ([np.mean(same, axis=0) for same in weights_of_g], made.generator),
        (models[-1].discriminator.get_weights(), made.discriminator),
    ):
        for weights, exact in zip(load_network(path).get_weights(), expected, strict=True):
            np.testing.assert_allclose(weights, exact, rtol=2**-8.9, atol=0)
            assert not (weights.view(np.uint32) & 0x7FFF).any()
    config = read_config(made.config)
    assert config.seed == 3 and config.data == ""


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
    parts = keras.layers.Dense(64, "tanh"), keras.layers.Reshape((8, 8, 1))
    own = keras.Sequential([keras.Input((7,)), *parts])
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


@pytest.mark.slow
@pytest.mark.parametrize("level", [None, "1"])
def test_a_script_imports_the_api_in_silence_and_with_its_own_log_level(level, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import os, sys, dcgan_tf\n"
        "dcgan_tf.Config, dcgan_tf.train\n"
        "assert 'tensorflow' not in sys.modules and 'TF_CPP_MIN_LOG_LEVEL' not in "
        "(os.environ if len(sys.argv) == 1 else {})\n"
        "print(dcgan_tf.load_generator('faces').generate(n=1).shape)\n"
        "print(os.environ['TF_CPP_MIN_LOG_LEVEL'], file=sys.stderr)\n"
    )
    env = {name: text for name, text in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    env |= {"PYTHONPATH": str(REPO)} | ({"TF_CPP_MIN_LOG_LEVEL": level} if level else {})
    command = [sys.executable, script, *([level] if level else [])]
    done = subprocess.run(command, env=env, capture_output=True, encoding="utf-8", timeout=300)
    assert done.stdout == "(1, 64, 64, 3)\n", done.stderr
    assert done.stderr == f"{level or 2}\n"
