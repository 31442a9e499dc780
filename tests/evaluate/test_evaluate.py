"""The whole command on a run, on two folders, and on real faces if they are there."""

import io
import json
import re
import shutil

import keras
import numpy as np
import pytest
from evaluating import WEIGHTS, command, examine, needs_weights, score
from helpers import (
    FACES,
    face_jpeg,
    faces_zip,
    needs_faces,
    one_line,
    refused,
    train,
    write_files,
    write_zip,
)
from PIL import Image

from dcgan_tf.common import scores
from dcgan_tf.common.foreign import read_lines
from dcgan_tf.common.images import encode
from dcgan_tf.evaluate import evaluation, scorer
from dcgan_tf.evaluate.command import parse_evaluation

KEYS = ["kid_mean", "kid_std", "inception_score", "precision", "recall", "floor", "protocol"]
AS_CELEBA = ("--crop", "30,55,150,175", "--size", "64")


def drawn(first, count):
    return {f"{i:03}.jpg": face_jpeg(first + i) for i in range(count)}


def test_run_is_scored_printed_and_appended(there, tiny, capsys, caplog, monkeypatch):
    monkeypatch.setattr("dcgan_tf.common.progress.FIRST_LINE", 0.0)
    caplog.set_level("INFO")
    path = there / "runs/a/evaluation.jsonl"
    path.write_bytes(b"\xff\xfe\n[1]\n7\n{}\n" + b'{"fid": ')
    first = score(capsys, "--run", "runs/a")
    assert "features mixed_7: 24 of 72 img" in caplog.text and " left" in caplog.text
    assert "skipped lines that are not records of scores: 1, 2, 3, 4, 5" in caplog.text
    assert [key for key in first if key in {"fid", "fid_768", *KEYS}] == ["fid_768", *KEYS]
    assert (first["run"], first["epoch"], first["step"]) == ("a", 1, 3)
    protocol = first["protocol"]
    assert (protocol["reference_count"], protocol["scored_count"]) == (24, 24)
    assert (protocol["crop"], protocol["size"]) == ("30,55,150,175", 64)
    assert protocol["weights_of"] == "G" and len(protocol["generator_sha256"]) == 64
    assert protocol["filter"] and protocol["seed"] == 0 and protocol["versions"]["tensorflow"]
    assert protocol["inception_sha256"] == tiny.weights_hash("mixed_7")
    assert 0 <= first["floor"]["fid_768"] < first["fid_768"]  # an untrained generator
    assert tiny.images == 72  # real images, held-out ones, samples
    again = score(capsys, "--run", "runs/a")
    assert again == first and tiny.images == 72  # all cached
    assert read_lines(path) == [first, again]
    other = score(capsys, "--run", "runs/a", "--seed", 1)
    assert other["protocol"]["scored_sha256"] != protocol["scored_sha256"]
    with refused("seed"):
        scores.refuse_mismatch(first, other)


def test_the_table_says_what_is_compared_and_whether_it_is_better_than_before(there, tiny, capsys):
    flags = ["--run", "runs/a", "--against", "rest"]
    record = score(capsys, *flags)
    model = keras.saving.load_model("runs/a/generator.keras")
    model.set_weights([1.5 * weights for weights in model.get_weights()])
    model.save("runs/a/generator.keras")
    evaluation.evaluate(parse_evaluation(flags))
    out = capsys.readouterr().out
    rest = "24 of the rest of faces.zip, not trained on"
    assert f"24 generated images of runs/a, epoch 1, vs. {rest}\n" in out
    assert (
        f"baseline, real vs. real: {rest}, none of them in the reference set, vs. the same" in out
    )
    assert "before: 24 generated images of runs/a, epoch 1\n" in out
    (line,) = [line for line in out.splitlines() if line.startswith("FID-768")]
    after = read_lines(there / "runs/a/evaluation.jsonl")[-1]
    numbers = [f"{each['fid_768']:.2f}" for each in (after, after["floor"], record)]
    better = after["fid_768"] < record["fid_768"]
    assert line.split()[1:4] == numbers
    assert line.endswith(f"lower is better: {'better' if better else 'worse'} than before")
    assert "note: recall 0.00 is usual below 50,000 images" in out
    assert "note: no Inception Score: " in out and "\nInception Score" not in out
    assert "note: FID-768 cannot be compared with any published FID" in out
    assert "crop 30,55,150,175" in out and "warning: 24 samples in 48 dimensions" in out


def test_against_says_which_images(there, tiny, capsys, caplog):
    def against(*flags):
        return score(capsys, "--run", "runs/a", "--samples", 12, *flags)

    caplog.set_level("INFO")
    write_zip(there / "other.zip", drawn(100, 30))
    subset, rest, other = against(), against("--against", "rest"), against("--data", "other.zip")
    assert "training images" in subset["compared_with"]
    assert "not trained on" in rest["compared_with"]
    assert "other.zip" in other["compared_with"]
    protocols = [record["protocol"] for record in (subset, rest, other)]
    assert len({protocol["reference_sha256"] for protocol in protocols}) == 3
    assert len({protocol["scored_sha256"] for protocol in protocols}) == 1
    photos = {f"{i}.png": encode(Image.open(io.BytesIO(face_jpeg(i))).resize((90, 80)), "PNG")
              for i in range(30)}  # fmt: skip
    write_files(there / "photos", photos)  # of no size that the run was trained on
    other = against("--data", "photos", "--against", "data")
    assert other["protocol"]["crop"] == "center"
    assert "photos: not of CelebA's size, so the centered squares are compared" in caplog.text
    (there / "faces.zip").rename(there / "moved.zip")
    assert against("--data", "moved.zip")["protocol"] == subset["protocol"]
    (there / "moved.zip").rename(there / "faces.zip")
    most = against("--samples", 60)  # too few are left for a baseline
    assert most["floor"] is None and "60 other real images" in most["floor_reason"]
    assert most["protocol"]["reference_count"] == 24
    # Its pack is there, but the images have changed.
    write_zip(there / "faces.zip", drawn(0, 71))
    assert against()["protocol"]["reference_sha256"] == subset["protocol"]["reference_sha256"]
    with refused("not the images that runs/a was trained on"):  # whose rest is unknown
        against("--against", "rest")
    shutil.rmtree(there / "data/packs")
    versions = (there / "runs/a/versions.json").read_text()
    (there / "runs/a/versions.json").write_text("{}")
    with refused("not the images that runs/a was trained on; name those with --data PATH, or"):
        against()
    (there / "runs/a/versions.json").write_text(versions)
    faces_zip(there, 72)
    shutil.rmtree(there / "runs/a/checkpoints")  # such a run cannot tell its own images
    (there / "runs/a/metrics.jsonl").unlink()
    own = against()
    assert "the training images" in own["compared_with"] and "assumed to" not in caplog.text
    assert own["scored"] == "12 generated images of runs/a"  # of no known epoch
    other = against("--data", "other.zip")
    assert "other.zip, assumed to be the training images" in other["compared_with"]
    assert "runs/a: no checkpoint records its training images" in caplog.text


def test_from_elsewhere_and_without_its_archive_a_run_is_scored_and_goes_on(
    there, tiny, capsys, monkeypatch
):
    args = ("--run", there / "runs/a", "--samples", 12, "--cache", there / "features")
    here = score(capsys, *args)
    (there / "faces.zip").unlink()
    # As of a run that was started here and not where the fixture trained it.
    begun = {"directory": str(there), "run": str(there / "runs/a")}
    (there / "runs/a/versions.json").write_text(json.dumps(begun))
    (there / "elsewhere").mkdir()
    monkeypatch.chdir(there / "elsewhere")
    record = score(capsys, *args)
    assert record["protocol"]["reference_sha256"] == here["protocol"]["reference_sha256"]
    with refused("faces.zip: no such file"):
        score(capsys, *args, "--against", "rest")
    done = train("--run", there / "runs/a", "--epochs", 2, cwd=there / "elsewhere")
    assert done.returncode == 0, done.stderr
    assert [path.name for path in (there / "elsewhere").iterdir()] == []


@pytest.fixture
def places(here, tiny):
    write_files(here / "A", drawn(0, 24))
    write_zip(here / "B.zip", drawn(50, 12))
    return here


def test_two_places_are_scored_on_equal_counts_with_a_baseline(places, capsys):
    record = score(capsys, "A", "B.zip", *AS_CELEBA)
    protocol = record["protocol"]
    assert (protocol["reference_count"], protocol["scored_count"]) == (12, 12)
    assert record["floor"] and record["run"] is None and protocol["weights_of"] is None
    same = score(capsys, "A", "A", *AS_CELEBA)
    assert (same["fid_768"], same["precision"], same["recall"]) == (0, 1, 1)
    assert same["floor"] is None and "24 other" in same["floor_reason"]
    assert "warning: 24 of 24 images are also in the reference set" in same["notes"]
    assert "both sides" not in str(record["notes"])
    assert not list(places.glob("**/evaluation.jsonl"))


def test_a_place_can_be_a_data_set_of_the_hub(places, capsys, monkeypatch):
    library = pytest.importorskip("datasets", reason='needs pip install ".[datasets]"')
    monkeypatch.setattr(library.config, "HF_DATASETS_CACHE", str(places / "cache"))
    same = score(capsys, "A", "hf:A", *AS_CELEBA)
    assert (same["fid_768"], same["precision"], same["recall"]) == (0, 1, 1)
    assert "of the images of hf:A" in same["scored"]
    with refused("hf:./gone: './gone' is no such folder"):
        score(capsys, "A", "hf:./gone")


def test_images_of_both_sides_are_counted_whatever_their_names(places, capsys):
    own = {f"new{i}.jpg": face_jpeg(50 + i) for i in range(8)}
    write_files(places / "part", own | {f"old{i}.jpg": face_jpeg(i) for i in (3, 5, 9, 11)})
    notes = score(capsys, "A", "part", "--samples", 12)["notes"]
    in_reference = [line for line in notes if "of 12 images are also in the reference set" in line]
    assert in_reference and 1 <= int(in_reference[0].split()[1]) <= 4


def test_cropped_images_beside_raw_ones_need_their_own_crop(places, capsys):
    images = np.random.default_rng(0).integers(0, 256, (10, 64, 64, 3), np.uint8)
    cropped = {f"{i}.png": encode(Image.fromarray(image), "PNG") for i, image in enumerate(images)}
    write_files(places / "G", cropped)
    flags = ["A", "G", "--crop", "30,55,150,175", "--scored-crop", "center"]
    protocol = score(capsys, *flags)["protocol"]
    assert (protocol["crop"], protocol["scored_crop"]) == ("30,55,150,175", "center")


def test_images_too_small_for_their_crop_are_told_the_flag_that_helps(places, capsys):
    small = {f"{i}.png": encode(Image.new("RGB", (64, 64), (i, 0, 0)), "PNG") for i in range(12)}
    write_files(places / "S", small)
    for sides, words in ((("S", "A"), "leave out --crop"), (("A", "S"), "--scored-crop center")):
        with refused(f"{sides[words[0] != 'l']}: none of 12", words):
            score(capsys, *sides, *AS_CELEBA)


def test_bad_images_are_left_out_and_too_few_are_refused(places, capsys):
    write_files(places / "C", drawn(0, 32) | dict.fromkeys(["003.jpg", "020.jpg"], b"none"))
    write_files(places / "D", drawn(50, 31))
    protocol = score(capsys, "C", "D")["protocol"]
    assert (protocol["reference_count"], protocol["scored_count"]) == (30, 30)
    record = score(capsys, "A", "B.zip", "--samples", 13)
    assert record["protocol"]["reference_count"] == record["protocol"]["scored_count"] == 12
    said = "warning: compared 12 images per side, not 13: there are no more"
    assert said in record["notes"]
    # With few more than --samples on both sides, all are prepared and no more are scored.
    record = score(capsys, "A", "C", "--samples", 22)
    assert record["protocol"]["reference_count"] == record["protocol"]["scored_count"] == 22


def test_all_checks_come_before_inception_which_may_be_a_download(there, monkeypatch, capsys):
    monkeypatch.setattr(scorer, "load_inception", lambda path: pytest.fail("Inception is loaded"))
    write_zip(there / "other.zip", drawn(0, 20))
    write_zip(there / "few.zip", drawn(0, 10) | {"003.jpg": b"none"})
    small = encode(Image.new("RGB", (64, 64)), "PNG")
    write_files(there, {"no.zip": b"PK no zip", "small/1.png": small})
    np.savez("half.npz", mu=np.zeros(768))
    run = ("--run", "runs/a")
    with refused("--seed 4294967295: expected 178,956,969 at most for 24 images"):
        examine(capsys, "--seed", str(2**32 - 1))
    for flags, *words in (
        ((*run, "--seed", 2**32 - 1), "--seed 4294967295: expected 178,956,969 at most"),
        ((*run, "--data", "other.zip", "--against", "subset"), "other.zip: not the images that"),
        ((*run, "--reference", "half.npz"), "--reference half.npz: holds no sigma.npy"),
        (("few.zip", "other.zip"), "few.zip: 9 usable images", "10 or more"),
        (("other.zip", "small", "--crop", "30,55,150,175"), "--scored-crop center"),
    ):
        with refused(*words):
            score(capsys, *flags)
    line = one_line(score, capsys, "other.zip", "no.zip")
    assert line.startswith("no.zip: not a complete zip")  # as it was given, without a flag
    for path in there.glob("runs/a/checkpoints/*"):
        path.unlink()
    config = there / "runs/a/config.toml"
    for subset in (72, 0):  # all there are: the first shows when the images are counted
        config.write_text(re.sub(r"(?m)^subset = \d+", f"subset = {subset}", config.read_text()))
        with refused("--against rest: ", "trained on all", "--against data --data PATH"):
            score(capsys, *run, "--against", "rest")
        with refused("--memorization: ", "trained on all", "--data PATH"):
            examine(capsys)
    for flags in (["--against", "rest"], ["--memorization"]):  # by its settings alone
        with refused("trained on all", "--data PATH"):
            parse_evaluation([*run, *flags])


@pytest.mark.nightly
@needs_faces
@needs_weights
def test_real_faces_score_near_each_other(here):
    args = [FACES, FACES.with_name("celeba_val_2k.zip"), *AS_CELEBA]
    done = command(*args, "--samples", "24", "--inception", WEIGHTS, "--json", cwd=here)
    assert done.returncode == 0, done.stderr
    record = json.loads(done.stdout)
    assert record["protocol"]["layer"] == "mixed_7" and record["floor"]["fid_768"] > 0
    assert 0.3 < record["fid_768"] < 3  # 24 real faces against 24: far above that of 2,000


def test_layers_that_the_weights_lack_are_refused_by_name(there, tiny, capsys):
    with refused("pool_3", "--features mixed_7"):
        score(capsys, "--run", "runs/a", "--features", "pool_3")
