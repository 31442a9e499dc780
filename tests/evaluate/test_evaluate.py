"""Scoring: stamps, the choice of images, the cache, the command, and real faces where present."""

import json
import shutil
from dataclasses import replace

import keras
import numpy as np
import pytest
from helpers import (
    FACES,
    SHARED,
    SMALL_AT_64,
    assert_refused,
    face_jpeg,
    faces_zip,
    needs_faces,
    train,
    write_files,
    write_zip,
)
from programs import run_program
from tiny_inception import TinyInception

from dcgan_tf.common import scores
from dcgan_tf.common.atomic_write import write_lines
from dcgan_tf.common.config import Config
from dcgan_tf.common.errors import UserError
from dcgan_tf.common.foreign import read_lines
from dcgan_tf.common.runs import Run
from dcgan_tf.data.sources import open_source
from dcgan_tf.evaluate import archive, evaluation, reference, score_table, scorer
from dcgan_tf.evaluate import command as evaluate
from dcgan_tf.evaluate.image_sets import from_pack, generated
from dcgan_tf.metrics import features
from dcgan_tf.metrics.frechet import FeatureStatistics, frechet_distance
from dcgan_tf.metrics.precision_recall import precision_recall

WEIGHTS = SHARED / "inception" / "inception2015_to_mixed7_fid768.npz"
needs_weights = pytest.mark.skipif(not WEIGHTS.exists(), reason=f"{WEIGHTS} is absent")
KEYS = ["kid_mean", "kid_std", "inception_score", "precision", "recall", "floor", "protocol"]


def command(*args, cwd):
    """CompletedProcess of `python -m dcgan_tf.evaluate ARGS`."""
    return run_program(("-m", "dcgan_tf.evaluate", *args), cwd)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with faces.zip (72 drawn faces) and a run on 24 of them in runs/a."""
    cwd = tmp_path_factory.mktemp("trained")
    faces_zip(cwd, 72)
    flags = [*SMALL_AT_64, "--batch-size", "8", "--sample-count", "4", "--epochs", "1"]
    done = train("--data", "faces.zip", "--subset", 24, *flags, "--run", "runs/a", cwd=cwd)
    assert done.returncode == 0, done.stderr
    return cwd


@pytest.fixture
def there(trained, tmp_path, monkeypatch):
    """A copy of `trained` as the current directory."""
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def tiny(monkeypatch):
    """The network that every evaluation of this test gets."""
    network = TinyInception()
    monkeypatch.setattr(scorer, "load_inception", lambda path: network)
    return network


def score(capsys, *args):
    """The record that a command line prints with --json, in this process."""
    evaluation.evaluate(evaluate.parse_evaluation([*map(str, args), "--json"]))
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    return json.loads(out)


# The command line


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["--runn", "x"], ["unknown flag --runn", "--run"]),
        (["--run", "nowhere"], ["--run nowhere", "no such folder"]),
        (["--samples", "1"], ["--samples", "2 or more"]),
        (["--samples", "many"], ["--samples", "whole number"]),
        (["--features", "mixed_8"], ["--features", "pool_3, mixed_7"]),
        (["--against", "all"], ["--against", "subset, rest, data"]),
        (["--inception", "nowhere.npz"], ["--inception nowhere.npz", "no such file"]),
        (["A"], ["got 1 place,", "two"]),
        ([".", "nowhere"], ["nowhere", "no such file"]),
        (["--run=~nobody-here/faces"], ["--run ~nobody-here/faces", "no such user"]),
        (["--cache=a\0b"], ["--cache", "without null bytes"]),
        ([".", ""], ["place", "empty text"]),
        ([".", ".", "--run", "x"], ["--run", "two folders"]),
        ([".", ".", "--crop", "9,9,3,3"], ["--crop", "left < right"]),
        ([".", ".", "--size", "0"], ["--size", "4 or more"]),
        ([".", ".", "--memorisation"], ["--memorisation", "--run"]),
        (["--list", "--json"], ["--json: does not go with --list"]),
        (["--list", "r", "--scored-crop", "x"], ["--scored-crop: does not go with --list"]),
        ([], ["no run"]),
    ],
)
def test_mistakes_are_named_without_tensorflow(here, args, words):
    with pytest.raises(UserError) as caught:
        evaluate.parse_evaluation(args)
    assert all(word in caught.value.for_command() for word in words), caught.value


def test_a_run_has_its_own_crop_and_needs_a_generator(there):
    with pytest.raises(UserError, match="crop: a run has its own"):
        evaluate.parse_evaluation(["--run", "runs/a", "--crop", "center"])
    with pytest.raises(UserError, match="against data: needs --data"):
        evaluate.parse_evaluation(["--run", "runs/a", "--against", "data"])
    config = (there / "runs/a/config.toml").read_text()
    large = config.replace("image_size = 64 ", "image_size = 2048 ")
    large = large.replace("base_size = 16 ", "base_size = 512 ")
    (there / "runs/a/config.toml").write_text(large)
    with pytest.raises(UserError, match="runs/a: images of 2,048 pixels, 1,024 at most"):
        evaluate.parse_evaluation(["--run", "runs/a"])
    (there / "runs/a/config.toml").write_text(config)
    (there / "runs/a/generator.keras").unlink()
    with pytest.raises(UserError, match="no generator.keras"):
        evaluate.parse_evaluation(["--run", "runs/a"])


@pytest.mark.slow
def test_help_names_the_flags_and_a_refusal_is_one_line(tmp_path):
    done = command("--help", cwd=tmp_path)
    assert done.returncode == 0 and "--against" in done.stdout and "None" not in done.stdout
    assert_refused(command("--samples", "0", cwd=tmp_path), "--samples")


# Stamps


def record_of(**changes):
    stamp = {"reference_count": 10, "crop": "center", "layer": "mixed_7", "versions": {"numpy": 1}}
    stamp |= {"scored_sha256": "a" * 64, "generator_sha256": "b" * 64} | changes
    return {"run": "r", "epoch": 1, "fid_768": 1.0, "floor": None, "protocol": stamp}


@pytest.mark.parametrize(
    "changes", [{"crop": "1,2,3,4"}, {"reference_count": 9}, {"versions": {"numpy": 2}}]
)
def test_different_stamps_are_refused_and_the_field_is_named(changes):
    with pytest.raises(UserError, match=next(iter(changes))):
        scores.refuse_mismatch(record_of(), record_of(**changes))


def test_what_was_scored_may_differ_and_a_missing_stamp_may_not():
    other = record_of(scored_sha256="c" * 64, generator_sha256="d" * 64)
    assert scores.mismatch(record_of(), other) is None
    assert scores.mismatch(record_of(), {"run": "r", "epoch": 2}) is not None


def test_list_shows_what_compares_and_names_what_does_not(there, capsys):
    full = {"kid_mean": 1e-6, "kid_std": 1e-7, "precision": 0.5, "recall": 0.25}
    records = [record_of() | full, record_of(layer="pool_3") | full, record_of() | full]
    records[2]["epoch"] = 7
    write_lines(there / "runs/a/evaluation.jsonl", records)
    score_table.list_runs(["runs/a"])
    shown, refused = capsys.readouterr().out.split("not comparable")
    assert "r epoch 1" in shown and "r epoch 7" in shown and shown.count("1.0000") == 2
    assert "1.00e-06" in shown  # not 0.0000
    assert "layer mixed_7 and pool_3" in refused
    other = Run(there / "runs/b")
    other.root.mkdir()
    write_lines(other.evaluation, [record_of(layer="pool_3")])
    with pytest.raises(UserError, match="layer mixed_7 and pool_3"):
        score_table.list_runs(["runs/a", "runs/b"])
    with pytest.raises(UserError, match="no evaluation.jsonl"):
        score_table.list_runs(["runs/c"])


# The choice of images


@pytest.fixture(scope="module")
def make_archive(trained, tmp_path_factory):
    packs = str(tmp_path_factory.mktemp("packs"))

    def make(subset):
        config = Config(
            dataset="folder",
            data=str(trained / "faces.zip"),
            crop="30,55,150,175",
            subset=subset,
            packs=packs,
        )
        return archive.Archive(config, open_source(config), "own", "rest")

    return make


def distinct(*images):
    """How many different images there are in all."""
    return len({image.tobytes() for p in images for batch in p.read() for image in batch})


def test_rest_is_what_the_subset_leaves_out(make_archive):
    faces = make_archive(24)
    assert faces.left_out == 48
    choice = reference.choose_reference(faces, 20, 20, seed=0, rest=True)
    own = from_pack(faces.pack, faces.rows, "own")
    assert [p.count for p in (choice.reference, choice.held_out, own)] == [20, 20, 24]
    assert distinct(choice.reference, choice.held_out, own) == 64


def test_floor_comes_from_others_and_is_null_with_the_reason_where_there_are_too_few(make_archive):
    faces = make_archive(24)
    choice = reference.choose_reference(faces, 24, 24, seed=0)  # none of its own are left
    assert distinct(choice.reference, choice.held_out) == 48 and "rest" in choice.held_out.name
    choice = reference.choose_reference(faces, 10, 10, seed=0)
    assert distinct(choice.reference, choice.held_out) == 20 and "own" in choice.held_out.name
    choice = reference.choose_reference(make_archive(60), 60, 60, seed=0)
    assert choice.held_out is None and "60 further" in choice.reason and "12" in choice.reason
    choice = reference.choose_reference(make_archive(60), 12, 12, seed=0, rest=True)
    assert choice.held_out.count == 12 and "own" in choice.held_out.name


@pytest.mark.parametrize(
    ("own", "spare", "count"),
    [(2000, 8000, 2000), (2000, 0, 1000), (202_599, 0, 10_000), (2000, 1500, 1500), (3, 0, 1)],
)
def test_default_count_leaves_a_floor(own, spare, count):
    assert reference.default_count(own, spare) == count


# Features and their cache


def some_images(seed=0, count=40):
    pixels = np.random.default_rng(seed).integers(0, 256, (count, 8, 8, 3), np.uint8)
    made_by = {"seed": seed, "crop": "center", "size": 8, "channels": 3, "filter": "none"}
    return features.Images("random", count, made_by, lambda: np.array_split(pixels, 3))


def test_features_are_computed_once_and_are_those_of_the_images(tmp_path):
    network, images = TinyInception(("mixed_7", "pool_3", "logits")), some_images()
    first, again = (
        features.extract(images, network, "pool_3", tmp_path, lambda n: None) for _ in range(2)
    )
    assert network.images == 40
    for found in (first, again):
        assert found.features.shape == (40, 48) and found.logits.shape == (40, 5)
        assert isinstance(found.features, np.memmap)
        np.testing.assert_allclose(found.statistics.mean, found.features.mean(0), rtol=1e-5)
    pixels = np.concatenate(list(images.read()))
    expected = next(TinyInception().features([pixels], ["mixed_7"]))["mixed_7"]
    assert np.array_equal(again.features, expected)
    assert not list(tmp_path.glob(".making*"))


def test_cache_key_has_images_count_layer_and_weights(tmp_path):
    layers = ("mixed_7", "pool_3")
    for number, (images, network, layer) in enumerate(
        [
            (some_images(), TinyInception(layers), "mixed_7"),
            (some_images(1), TinyInception(layers), "mixed_7"),
            (some_images(0, 39), TinyInception(layers), "mixed_7"),
            (some_images(), TinyInception(layers), "pool_3"),
            (some_images(), TinyInception(layers, "another"), "mixed_7"),
        ],
        start=1,
    ):
        features.extract(images, network, layer, tmp_path, lambda n: None)
        assert len(list(tmp_path.glob("*/entry.json"))) == number


def test_cached_images_are_those_of_the_precision_that_made_them():
    """The same weights draw other images in half precision."""
    keys = []
    for dtype in ("float32", "mixed_bfloat16"):
        latents = keras.Input((7,))
        dense = keras.layers.Dense(64, "tanh", kernel_initializer="ones", dtype=dtype)(latents)
        pixels = keras.layers.Reshape((8, 8, 1), dtype="float32")(dense)
        keys.append(generated(keras.Model(latents, pixels), 4).made_by)
    assert keys[0] != keys[1]
    assert keys[0]["generator_sha256"] == keys[1]["generator_sha256"]


def test_broken_off_or_damaged_entries_are_made_again(tmp_path):
    network, images = TinyInception(), some_images()

    def broken():
        yield next(iter(images.read()))
        raise OSError("gone")

    torn = features.Images("torn", images.count, images.made_by, broken)
    with pytest.raises(OSError, match="gone"):
        features.extract(torn, network, "mixed_7", tmp_path, lambda n: None)
    assert not list(tmp_path.glob("*/"))
    features.extract(images, network, "mixed_7", tmp_path, lambda n: None)
    entry = next(tmp_path.glob("*/features.npy"))
    entry.write_bytes(entry.read_bytes()[:1000])
    before = network.images
    found = features.extract(images, network, "mixed_7", tmp_path, lambda n: None)
    assert network.images == before + 40 and found.count == 40


def test_without_a_cache_nothing_stays(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    found = features.extract(some_images(), TinyInception(), "mixed_7", None, lambda n: None)
    assert found.features.sum() > 0 and not list(tmp_path.iterdir())


# Scores


def feature_set(seed, count=40, logits=False, shift=0.0):
    values = np.random.default_rng(seed).normal(shift, 1, (count, 6)).astype(np.float32)
    statistics = FeatureStatistics()
    statistics.update(values)
    return features.FeatureSet(statistics, values, values[:, :5] if logits else None, "", {})


def test_scores_are_those_of_the_mathematics_and_fid_768_is_labelled_so():
    real, fake = feature_set(0), feature_set(1, shift=0.5)
    found, notes = scorer.compare(real, fake, "mixed_7", seed=0)
    assert list(found) == ["fid_768", *KEYS[:5]]
    assert found["fid_768"] == frechet_distance(real.statistics, fake.statistics)
    wanted = precision_recall(real.features, fake.features)
    assert (found["precision"], found["recall"]) == wanted
    assert found["inception_score"] is None and "softmax" in notes[0]
    found, notes = scorer.compare(real, feature_set(1, logits=True), "pool_3", seed=0)
    assert found["fid"] > 0 and found["inception_score"] > 1 and not notes


def test_too_few_images_give_null_and_a_warning_that_says_why():
    found, notes = scorer.compare(feature_set(0, 3), feature_set(1, 3, logits=True), "pool_3", 0)
    assert found["precision"] is None and found["recall"] is None
    assert found["inception_score"] is None
    assert any(note.startswith("warning: 3 samples in 6 dimensions") for note in notes)
    assert any("more than 3" in note for note in notes) and any("10 images" in n for n in notes)
    assert found["kid_std"] is None and any(
        "no standard deviation of KID" in note for note in notes
    )
    assert found["kid_mean"] is not None and "±" not in score_table.cell(found, "kid_mean")


def test_kid_has_a_spread_where_one_subset_is_all_images_and_the_stamp_says_of_what():
    found, _ = scorer.compare(feature_set(0), feature_set(1, shift=0.5), "mixed_7", seed=0)
    assert 0 < found["kid_std"] < found["kid_mean"]
    made_by = {"crop": "center", "size": 8, "channels": 3, "filter": "none"}
    stamps = {}
    for count in (40, 2000):
        side = replace(feature_set(0, count), made_by=made_by)
        stamps[count] = scorer.protocol(side, side, "mixed_7", "")
    assert stamps[40]["kid"] == "100 subsets of 40, spread of those of 20"
    assert stamps[2000]["kid"] == "100 subsets of 1000"


# The whole command, on a run


def test_run_is_scored_printed_and_appended(there, tiny, capsys):
    first = score(capsys, "--run", "runs/a")
    assert [key for key in first if key in {"fid", "fid_768", *KEYS}] == ["fid_768", *KEYS]
    assert (first["run"], first["epoch"], first["step"]) == ("a", 1, 3)
    stamp = first["protocol"]
    assert (stamp["reference_count"], stamp["scored_count"]) == (24, 24)
    assert (stamp["crop"], stamp["size"], stamp["layer"]) == ("30,55,150,175", 64, "mixed_7")
    assert stamp["weights_of"] == "G" and len(stamp["generator_sha256"]) == 64
    assert stamp["filter"] and stamp["seed"] == 0 and stamp["versions"]["tensorflow"]
    assert stamp["inception_sha256"] == tiny.weights_hash("mixed_7")
    assert 0 <= first["floor"]["fid_768"] < first["fid_768"]  # an untrained generator
    assert tiny.images == 72  # reals, held out, samples
    again = score(capsys, "--run", "runs/a")
    assert again == first and tiny.images == 72  # all cached
    assert read_lines(there / "runs/a/evaluation.jsonl") == [first, again]


def test_an_epoch_that_nothing_tells_is_not_named(there, tiny, capsys):
    for path in (there / "runs/a/metrics.jsonl", *(there / "runs/a/checkpoints").iterdir()):
        path.unlink()
    found = score(capsys, "--run", "runs/a")
    assert found["epoch"] is None and found["scored"] == "24 generated images of runs/a"


def test_progress_is_told_where_there_is_no_terminal(there, tiny, capsys, caplog, monkeypatch):
    monkeypatch.setattr("dcgan_tf.common.progress.FIRST_LINE", 0.0)
    caplog.set_level("INFO")
    score(capsys, "--run", "runs/a", "--samples", 24)
    assert "features mixed_7: 24 of 72 img" in caplog.text and " left" in caplog.text


def test_seeds_that_are_none_for_so_many_samples_are_refused(there, tiny):
    request = evaluate.parse_evaluation(["--run", "runs/a", "--seed", str(2**32 - 1)])
    with pytest.raises(UserError, match="seed 4294967295: no such seeds for 24 samples"):
        evaluation.evaluate(request)


def test_what_is_no_record_stands_neither_in_the_way_nor_in_the_list(there, tiny, capsys, caplog):
    path = there / "runs/a/evaluation.jsonl"
    path.write_bytes(b"\xff\xfe\n[1]\n7\n{}\n" + b'{"fid": ')
    record = score(capsys, "--run", "runs/a")
    assert "left out what is no record of scores, line 1, 2, 3, 4, 5" in caplog.text
    assert read_lines(path) == [record]
    score_table.list_runs(["runs/a"])
    assert f"{record['fid_768']:.2f}"[:3] in capsys.readouterr().out


def test_table_states_what_it_compares_with(there, tiny, capsys):
    evaluation.evaluate(evaluate.parse_evaluation(["--run", "runs/a", "--against", "rest"]))
    out = capsys.readouterr().out
    assert "not trained on" in out and "FID-768" in out and "cannot be compared" in out
    assert "crop 30,55,150,175" in out and "warning: 24 samples in 48 dimensions" in out


def test_against_says_which_images(there, tiny, capsys):
    subset = score(capsys, "--run", "runs/a", "--samples", 12)
    rest = score(capsys, "--run", "runs/a", "--samples", 12, "--against", "rest")
    write_zip(there / "other.zip", {f"{i:03}.jpg": face_jpeg(100 + i) for i in range(30)})
    other = score(capsys, "--run", "runs/a", "--samples", 12, "--data", "other.zip")
    assert "training images" in subset["compared_with"]
    assert "not trained on" in rest["compared_with"]
    assert "other.zip" in other["compared_with"]
    hashes = {r["protocol"]["reference_sha256"] for r in (subset, rest, other)}
    assert len(hashes) == 3
    assert len({r["protocol"]["scored_sha256"] for r in (subset, rest, other)}) == 1
    (there / "faces.zip").rename(there / "moved.zip")
    moved = score(capsys, "--run", "runs/a", "--samples", 12, "--data", "moved.zip")
    assert moved["protocol"] == subset["protocol"]
    args = evaluate.parse_evaluation(
        ["--run", "runs/a", "--data", "other.zip", "--against", "subset"]
    )
    with pytest.raises(UserError, match="not the images|larger than the data"):
        evaluation.evaluate(args)


def test_of_a_run_that_cannot_tell_its_images_others_are_taken_for_them_and_it_is_said(
    there, tiny, capsys, caplog
):
    shutil.rmtree(there / "runs/a/checkpoints")
    (there / "runs/a/metrics.jsonl").unlink()
    own = score(capsys, "--run", "runs/a", "--samples", 12)
    assert "the training images" in own["compared_with"] and "taken for" not in caplog.text
    assert own["scored"] == "12 generated images of runs/a"  # of no known epoch
    write_zip(there / "other.zip", {f"{i:03}.jpg": face_jpeg(100 + i) for i in range(30)})
    other = score(capsys, "--run", "runs/a", "--samples", 12, "--data", "other.zip")
    assert "other.zip, taken for the training images" in other["compared_with"]
    assert "runs/a: no checkpoint says which images it was trained on" in caplog.text


def test_from_elsewhere_and_without_its_archive_a_run_is_scored_and_goes_on(
    there, tiny, capsys, monkeypatch
):
    args = ("--run", there / "runs/a", "--samples", 12, "--cache", there / "features")
    here = score(capsys, *args)
    (there / "faces.zip").unlink()
    (there / "runs/a/versions.json").unlink()  # it names another folder, which has the archive
    (there / "elsewhere").mkdir()
    monkeypatch.chdir(there / "elsewhere")
    record = score(capsys, *args)
    assert record["protocol"]["reference_sha256"] == here["protocol"]["reference_sha256"]
    with pytest.raises(UserError, match="faces.zip: no such file"):
        score(capsys, *args, "--against", "rest")
    done = train("--run", there / "runs/a", "--epochs", 2, cwd=there / "elsewhere")
    assert done.returncode == 0, done.stderr
    assert [path.name for path in (there / "elsewhere").iterdir()] == []


def test_floor_is_null_with_the_reason_where_data_is_too_few(there, tiny, capsys):
    record = score(capsys, "--run", "runs/a", "--samples", 60)
    assert record["floor"] is None and "60 further real images" in record["floor_reason"]
    assert record["protocol"]["reference_count"] == 24


def test_another_seed_takes_other_samples(there, tiny, capsys):
    first, second = (score(capsys, "--run", "runs/a", "--seed", seed) for seed in (0, 1))
    assert first["protocol"]["scored_sha256"] != second["protocol"]["scored_sha256"]
    with pytest.raises(UserError, match="seed"):
        scores.refuse_mismatch(first, second)


# Two folders or zips


@pytest.fixture
def places(here):
    write_files(here / "A", {f"{i:03}.jpg": face_jpeg(i) for i in range(24)})
    write_zip(here / "B.zip", {f"{i:03}.jpg": face_jpeg(50 + i) for i in range(12)})
    return here


def test_two_places_are_scored_on_equal_counts_with_a_floor(places, tiny, capsys):
    record = score(capsys, "A", "B.zip", "--crop", "30,55,150,175", "--size", 64)
    stamp = record["protocol"]
    assert (stamp["reference_count"], stamp["scored_count"]) == (12, 12)
    assert record["floor"] and record["run"] is None and stamp["weights_of"] is None
    same = score(capsys, "A", "A", "--crop", "30,55,150,175", "--size", 64)
    assert (same["fid_768"], same["precision"], same["recall"]) == (0, 1, 1)
    assert same["floor"] is None and "24 further" in same["floor_reason"]
    assert not list(places.glob("**/evaluation.jsonl"))


def test_cropped_images_beside_raw_ones_need_their_own_crop(places, tiny, capsys):
    from dcgan_tf.common.images import save_png

    (places / "G").mkdir()
    for i in range(8):
        image = np.random.default_rng(i).integers(0, 256, (64, 64, 3), np.uint8)
        save_png(places / "G" / f"{i}.png", image)
    flags = ["A", "G", "--crop", "30,55,150,175"]
    with pytest.raises(UserError, match="--scored-crop center"):
        score(capsys, *flags)
    record = score(capsys, *flags, "--scored-crop", "center")
    stamp = record["protocol"]
    assert (stamp["crop"], stamp["scored_crop"]) == ("30,55,150,175", "center")


def test_a_place_is_named_as_it_was_given(places, tiny, capsys):
    (places / "C.zip").write_bytes(b"PK no zip")
    with pytest.raises(UserError, match="^C.zip: "):
        score(capsys, "A", "C.zip")


def test_more_samples_than_images_is_refused(places, tiny, capsys):
    with pytest.raises(UserError, match="B.zip has 12"):
        score(capsys, "A", "B.zip", "--samples", 13)


def test_a_few_bad_images_beside_hardly_fewer_good_ones_are_no_matter(here, tiny, capsys):
    images = {f"{i:03}.jpg": face_jpeg(i) for i in range(32)}
    write_files(here / "A", images | {f"{i:03}.jpg": b"none" for i in (3, 9, 20)})
    write_files(here / "B", {f"{i:03}.jpg": face_jpeg(50 + i) for i in range(31)})
    stamp = score(capsys, "A", "B")["protocol"]
    assert (stamp["reference_count"], stamp["scored_count"]) == (29, 29)


# Real faces and the real network


@pytest.mark.nightly
@needs_faces
@needs_weights
def test_real_faces_score_what_the_mathematics_says(here):
    args = [FACES, FACES.with_name("celeba_val_2k.zip"), "--crop", "30,55,150,175", "--size", "64"]
    done = command(*args, "--samples", "24", "--inception", WEIGHTS, "--json", cwd=here)
    assert done.returncode == 0, done.stderr
    record = json.loads(done.stdout)
    assert record["protocol"]["layer"] == "mixed_7" and record["floor"]["fid_768"] > 0
    kept = {
        json.loads((path / "entry.json").read_text())["pixels_sha256"]: np.load(
            path / "features.npy"
        )
        for path in here.glob("data/features/*/")
    }
    sides = []
    for side in ("reference_sha256", "scored_sha256"):
        statistics = FeatureStatistics()
        statistics.update(kept[record["protocol"][side]])
        sides.append(statistics)
    assert record["fid_768"] == pytest.approx(frechet_distance(*sides), rel=1e-9)
    assert 0.3 < record["fid_768"] < 3  # 24 real faces against 24: far above the floor of 2,000


@needs_weights
def test_layers_that_the_weights_lack_are_refused_by_name(there):
    done = command("--run", "runs/a", "--features", "pool_3", "--inception", WEIGHTS, cwd=there)
    assert_refused(done, "pool_3", "--features mixed_7")
