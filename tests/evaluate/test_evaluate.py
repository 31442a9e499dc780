"""The whole command on a run, on two folders, and on real faces if they are there."""

import json
import shutil

import numpy as np
import pytest
from evaluating import WEIGHTS, command, needs_weights, score
from helpers import (
    FACES,
    assert_refused,
    face_jpeg,
    needs_faces,
    refused,
    train,
    write_files,
    write_zip,
)
from tiny_inception import TinyInception

from dcgan_tf.common import scores
from dcgan_tf.common.errors import UserError
from dcgan_tf.common.foreign import read_lines
from dcgan_tf.common.images import save_png
from dcgan_tf.evaluate import command as evaluate
from dcgan_tf.evaluate import evaluation, score_table, scorer
from dcgan_tf.evaluate.command import parse_evaluation
from dcgan_tf.metrics.frechet import FeatureStatistics, frechet_distance

KEYS = ["kid_mean", "kid_std", "inception_score", "precision", "recall", "floor", "protocol"]


def test_run_is_scored_printed_and_appended(there, tiny, capsys):
    first = score(capsys, "--run", "runs/a")
    assert [key for key in first if key in {"fid", "fid_768", *KEYS}] == ["fid_768", *KEYS]
    assert (first["run"], first["epoch"], first["step"]) == ("a", 1, 3)
    protocol = first["protocol"]
    assert (protocol["reference_count"], protocol["scored_count"]) == (24, 24)
    assert (protocol["crop"], protocol["size"], protocol["layer"]) == (
        "30,55,150,175",
        64,
        "mixed_7",
    )
    assert protocol["weights_of"] == "G" and len(protocol["generator_sha256"]) == 64
    assert protocol["filter"] and protocol["seed"] == 0 and protocol["versions"]["tensorflow"]
    assert protocol["inception_sha256"] == tiny.weights_hash("mixed_7")
    assert 0 <= first["floor"]["fid_768"] < first["fid_768"]  # an untrained generator
    assert tiny.images == 72  # reals, held out, samples
    again = score(capsys, "--run", "runs/a")
    assert again == first and tiny.images == 72  # all cached
    assert read_lines(there / "runs/a/evaluation.jsonl") == [first, again]


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


def test_baseline_is_null_with_the_reason_where_data_is_too_few(there, tiny, capsys):
    record = score(capsys, "--run", "runs/a", "--samples", 60)
    assert record["floor"] is None and "60 further real images" in record["floor_reason"]
    assert record["protocol"]["reference_count"] == 24


def test_another_seed_takes_other_samples(there, tiny, capsys):
    first, second = (score(capsys, "--run", "runs/a", "--seed", seed) for seed in (0, 1))
    assert first["protocol"]["scored_sha256"] != second["protocol"]["scored_sha256"]
    with pytest.raises(UserError, match="seed"):
        scores.refuse_mismatch(first, second)


@pytest.fixture
def places(here):
    write_files(here / "A", {f"{i:03}.jpg": face_jpeg(i) for i in range(24)})
    write_zip(here / "B.zip", {f"{i:03}.jpg": face_jpeg(50 + i) for i in range(12)})
    return here


def test_two_places_are_scored_on_equal_counts_with_a_baseline(places, tiny, capsys):
    record = score(capsys, "A", "B.zip", "--crop", "30,55,150,175", "--size", 64)
    protocol = record["protocol"]
    assert (protocol["reference_count"], protocol["scored_count"]) == (12, 12)
    assert record["floor"] and record["run"] is None and protocol["weights_of"] is None
    same = score(capsys, "A", "A", "--crop", "30,55,150,175", "--size", 64)
    assert (same["fid_768"], same["precision"], same["recall"]) == (0, 1, 1)
    assert same["floor"] is None and "24 further" in same["floor_reason"]
    assert "warning: 24 of 24 scored images are on both sides" in same["notes"]
    assert "both sides" not in str(record["notes"])
    assert not list(places.glob("**/evaluation.jsonl"))


def test_images_of_both_sides_are_counted_whatever_their_names(places, tiny, capsys):
    own = {f"new{i}.jpg": face_jpeg(50 + i) for i in range(8)}
    write_files(places / "part", own | {f"old{i}.jpg": face_jpeg(i) for i in (3, 5, 9, 11)})
    shutil.copytree(places / "part", places / "part2")
    notes = score(capsys, "A", "part", "--samples", 12)["notes"]
    known = score(capsys, "part", "part2")["notes"]
    assert "12 of 12 scored images are on both sides" in str(known)
    in_reference = [line for line in notes if "of 12 scored images are on both sides" in line]
    assert in_reference and 1 <= int(in_reference[0].split()[1]) <= 4


def test_cropped_images_beside_raw_ones_need_their_own_crop(places, tiny, capsys):

    (places / "G").mkdir()
    for i in range(8):
        image = np.random.default_rng(i).integers(0, 256, (64, 64, 3), np.uint8)
        save_png(places / "G" / f"{i}.png", image)
    flags = ["A", "G", "--crop", "30,55,150,175"]
    with pytest.raises(UserError, match="--scored-crop center"):
        score(capsys, *flags)
    record = score(capsys, *flags, "--scored-crop", "center")
    protocol = record["protocol"]
    assert (protocol["crop"], protocol["scored_crop"]) == ("30,55,150,175", "center")


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
    protocol = score(capsys, "A", "B")["protocol"]
    assert (protocol["reference_count"], protocol["scored_count"]) == (29, 29)


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


def test_one_image_a_side_is_refused(here, monkeypatch):
    monkeypatch.setattr(scorer, "load_inception", lambda path: TinyInception())
    write_files(here / "A", {"0.jpg": face_jpeg(0)})
    write_files(here / "B", {f"{i}.jpg": face_jpeg(i) for i in range(3)} | {"3.jpg": b"none"})
    with refused("A", "2 or more"):
        evaluation.evaluate(parse_evaluation(["A", "B"]))
    write_files(here / "C", {"0.jpg": face_jpeg(0), "1.jpg": b"none"})
    with pytest.raises(UserError):
        evaluation.evaluate(parse_evaluation(["C", "B"]))
