"""The command as a user calls it: files beside the generator, images, one line for mistakes."""

import json

import numpy as np
import pytest
from helpers import refused
from PIL import Image
from programs import run_program
from tiny_gan import tiny

from dcgan_tf.common.directions import Directions, read_directions, write_directions
from dcgan_tf.directions import command
from dcgan_tf.directions.__main__ import main
from dcgan_tf.explore.command import parse_explore
from dcgan_tf.models.loading import load_generator
from dcgan_tf.models.networks import build_generator


@pytest.fixture(scope="module")
def model_file(tmp_path_factory):
    """A small untrained generator, in a folder like a run's."""
    folder = tmp_path_factory.mktemp("runs") / "0001-celeba"
    folder.mkdir()
    build_generator(tiny(init_stddev=0.3)).save(folder / "generator.keras")
    return folder / "generator.keras"


@pytest.mark.slow
def test_files_lie_beside_the_generator_and_read_back(model_file, tmp_path):
    run = model_file.parent
    done = run_program(("-m", "dcgan_tf.directions", "--run", run, "--n", "2"), tmp_path)
    assert done.returncode == 0 and "4 directions" in done.stdout, done.stderr
    sampler = load_generator(model_file)
    found = read_directions(run / "directions.npz", sampler, "--directions")
    assert found.names == ("kernel 1", "kernel 2", "component 1", "component 2")
    assert found.kinds == ("kernel", "kernel", "component", "component")
    np.testing.assert_allclose(np.linalg.norm(found.vectors, axis=1), 1, rtol=1e-6)
    report = json.loads((run / "directions.json").read_text())
    assert report["generator"] == sampler.sha256
    assert [record["name"] for record in report["directions"]] == list(found.names)
    for record, vector, reach in zip(report["directions"], found.vectors, found.reach, strict=True):
        with Image.open(run / record["picture"]) as image:
            pixels, text = np.asarray(image), image.text
        assert text["direction"] == record["name"] and text["model_sha256"] == sampler.sha256
        # 6 rows of 7; enlarged twice: the last of the first row is seed 0 at the whole reach
        expected = sampler.generate(
            latents=np.random.RandomState(0).randn(1, sampler.latent_dim) + reach * vector
        )
        last = pixels[:128:2, -128::2].astype(int)
        assert pixels.shape == (2 * (6 * 66 - 2), 2 * (7 * 66 - 2), 3)
        assert np.abs(last - expected[0]).max() <= 1


@pytest.mark.slow
def test_directions_of_attributes_stay_with_their_generator(model_file, tmp_path):
    sampler = load_generator(model_file)
    names = ("a b", "A_b", "улыбка", "微笑", "..", "/")
    vectors = np.eye(len(names), sampler.latent_dim, 3, dtype=np.float32)
    reach = np.full(len(names), 2.5, np.float32)
    known = Directions(names, vectors, ("attribute",) * len(names), reach, sampler.sha256)
    write_directions(tmp_path / "directions.npz", known)
    records = [{"name": name, "kind": "attribute", "reach": 2.5, "auc": 0.9} for name in names]
    report = {"directions": records, "refused": {"Blurry": 0.6}}
    (tmp_path / "directions.json").write_text(json.dumps(report))
    again = ["--model", str(model_file), "--n", "1", "--out", str(tmp_path)]
    main(again)
    found = read_directions(tmp_path / "directions.npz", sampler, "--out")
    assert found.names == ("kernel 1", "component 1", *names) and (found.reach[2:] == 2.5).all()
    np.testing.assert_array_equal(found.vectors[2:], vectors)
    report = json.loads((tmp_path / "directions.json").read_text())
    assert report["directions"][2]["auc"] == 0.9 and report["refused"] == {"Blurry": 0.6}
    files = [record["picture"] for record in report["directions"]]  # each has one of its own
    assert files[2:6] == [f"directions/{n}.png" for n in ("a_b", "A_b_", "улыбка", "微笑")]
    assert len(list((tmp_path / "directions").iterdir())) == len(set(files)) == 2 + len(names)
    assert all((tmp_path / file).is_file() for file in files)
    other = json.dumps(report | {"generator": "0" * 64})  # such as that of best/
    (tmp_path / "directions.json").write_text(other)
    with refused("has attribute directions of another generator; name another folder with --out"):
        main(again)
    (tmp_path / "directions.json").write_text("of another program")
    main(again)
    assert len(read_directions(tmp_path / "directions.npz", sampler, "--out").names) == 2


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--n", "0"], ["--n: got '0'", "1"]),
        (["--n", "65"], ["--n: got '65'", "64"]),
        (["--pretrained", "cats"], ["--pretrained: unknown networks 'cats'"]),
        (["--run", "nowhere"], ["--run nowhere: no such"]),
        (["--model", "none.keras"], ["none.keras: no such file"]),
        (["--seeds", "3"], ["unknown flag --seeds"]),
        (["--out", "file"], ["--out file", "is not a folder"]),
        (["--out", "folder"], ["--out folder", "is not a folder"]),
    ],
)
def test_mistakes_are_one_line_before_any_work(model_file, here, flags, words):
    (here / "file").touch()
    (here / "folder").mkdir()
    (here / "folder" / "directions").touch()  # where the images belong
    named = [] if flags[0] in ("--run", "--model", "--pretrained") else ["--model", str(model_file)]
    with refused(*words):
        command.parse_directions([*named, *flags])


def test_the_explorer_refuses_a_missing_file_of_directions_before_any_work(model_file, here):
    with refused("--directions", "no such file"):
        parse_explore(["--model", str(model_file), "--directions", "nope.npz"])
