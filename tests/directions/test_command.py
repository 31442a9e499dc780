"""The command as a user calls it: files beside the generator, pictures, one line for mistakes."""

import json

import numpy as np
import pytest
from helpers import assert_refused, refused
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
def test_files_lie_beside_the_generator_and_read_back(model_file):
    main(["--run", str(model_file.parent), "--n", "2"])
    sampler = load_generator(model_file)
    found = read_directions(model_file.parent / "directions.npz", sampler, "--directions")
    assert found.names == ("kernel 1", "kernel 2", "component 1", "component 2")
    assert found.kinds == ("kernel", "kernel", "component", "component")
    np.testing.assert_allclose(np.linalg.norm(found.vectors, axis=1), 1, rtol=1e-6)
    report = json.loads((model_file.parent / "directions.json").read_text())
    assert report["generator"] == sampler.sha256
    assert [record["name"] for record in report["directions"]] == list(found.names)
    for record, vector, reach in zip(report["directions"], found.vectors, found.reach, strict=True):
        with Image.open(model_file.parent / record["picture"]) as image:
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
    assert files[2:6] == [f"directions/{n}.png" for n in ("a_b", "A_b_2", "улыбка", "微笑")]
    assert len(list((tmp_path / "directions").iterdir())) == len(set(files)) == 2 + len(names)
    assert all((tmp_path / file).is_file() for file in files)
    (tmp_path / "directions.json").write_text("of another program")
    main(again)
    assert len(read_directions(tmp_path / "directions.npz", sampler, "--out").names) == 2


@pytest.mark.slow
def test_as_a_program(model_file, tmp_path):
    def call(*args):
        return run_program(("-m", "dcgan_tf.directions", *args), tmp_path)

    done = call("--model", model_file, "--n", "1", "--out", tmp_path / "out")
    assert done.returncode == 0 and "2 directions" in done.stdout, done.stderr
    files = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert files == ["directions", "directions.json", "directions.npz"]
    assert_refused(call("--model", tmp_path / "none.keras"), "no such file")


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--n", "0"], ["--n: got '0'", "between 1 and 64"]),
        (["--pretrained", "cats"], ["--pretrained: unknown networks 'cats'"]),
        (["--run", "nowhere"], ["--run nowhere: no such run"]),
        (["--seeds", "3"], ["unknown flag --seeds"]),
    ],
)
def test_mistakes_are_one_line(here, flags, words):
    with refused(*words):
        command.parse_directions(flags)


@pytest.mark.parametrize("out", ["file", "file/below", "folder"])
def test_what_is_in_the_way_is_refused_before_any_work(model_file, tmp_path, out):
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "directions").touch()  # where the pictures belong
    with refused(f"--out {tmp_path / out}", "is no folder, expected one"):
        command.parse_directions(["--model", str(model_file), "--out", str(tmp_path / out)])


def test_the_explorer_refuses_a_missing_file_of_directions_before_any_work(model_file, tmp_path):
    named = tmp_path / "nope.npz"
    with refused("--directions", "no such file"):
        parse_explore(["--model", str(model_file), "--directions", str(named)])
