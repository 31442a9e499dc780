"""The command line of evaluate: what it takes, refuses and lists."""

import json

import pytest
from evaluating import command, record_of
from helpers import assert_refused, refused, write_files

from dcgan_tf.common import scores
from dcgan_tf.common.atomic_write import write_lines
from dcgan_tf.common.errors import UserError
from dcgan_tf.common.runs import Run
from dcgan_tf.evaluate.command import parse_evaluation
from dcgan_tf.evaluate.score_table import list_runs


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--runn x", "unknown flag --runn"),
        ("--run nowhere", "--run nowhere: no such run"),
        ("nowhere --run run", "--run run: got nowhere as well"),
        ("--samples 1", "--samples: got '1', expected a whole number between 2 and 1000000"),
        ("--samples 50001 --memorization", "50,000 at most with --memorization"),
        ("--seed 4294967296", "--seed: got '4294967296'"),
        ("--features mixed_8", "--features: "),
        ("--against all", "--against: "),
        ("--inception nowhere.npz", "--inception nowhere.npz: no such file"),
        ("--inception /dev/zero", "not a regular file"),
        ("A B C", "got 3 places, expected a run, or two"),
        (".", "no config.toml, so it is not a run; for images give two places"),
        (". nowhere", "nowhere: no such file"),
        (". . --run x", "--run: belongs to a run, not to two folders"),
        (". . --reference file", "--reference: belongs to a run"),
        (
            ". . --crop 9,9,3,3",
            "--crop: got '9,9,3,3', expected center or left,upper,right,lower",
        ),
        (". . --size 20000", "--size: got '20000', expected a whole number between 4 and 1024"),
        (". . --memorization", "--memorization: needs a run"),
        (". . --memorisation", "--memorization: needs a run"),
        ("--list --json", "--json: does not go with --list"),
        ("--list r --scored-crop x", "--scored-crop: does not go with --list"),
        (". . --save-reference .", "--save-reference .: a folder"),
        (". . --save-reference file/x.npz", "file is not a folder"),
        ("--reference nowhere.npz", "--reference nowhere.npz: no such file"),
        ("run --reference file --memorization", "--memorization: does not go with --reference"),
        ("run --crop center", "--crop: is for two folders; a run has its own"),
        ("run --against data", "--against data: needs --data"),
        ("run run", "run: a run, expected images"),
        ("large", "large: images of 2,048 pixels, 1,024 at most"),
        ("untrained", "no generator.keras; it appears with the first checkpoint"),
        ("", "no run"),
    ],
)
def test_mistakes_are_named_without_tensorflow(here, words, said):
    write_files(here, {f"{name}/generator.keras": b"" for name in ("run", "large")})
    write_files(here, {f"{name}/config.toml": b"" for name in ("run", "untrained")} | {"file": b""})
    write_files(here, {"large/config.toml": b"image_size = 2048\nbase_size = 256\n"})
    with refused(said):
        parse_evaluation(words.split())


@pytest.mark.slow
def test_help_names_the_flags_and_a_refusal_is_one_line(tmp_path):
    done = command("--help", cwd=tmp_path)
    assert done.returncode == 0 and "--against" in done.stdout and "None" not in done.stdout
    assert_refused(command("--samples", "0", cwd=tmp_path), "--samples")


def test_scores_compare_where_all_but_what_was_scored_is_equal():
    other = record_of(scored_sha256="c" * 64, generator_sha256="d" * 64)
    assert scores.mismatch(record_of(), other) is None
    assert scores.mismatch(record_of(), {"run": "r", "epoch": 2}) is not None
    for changes in ({"crop": "1,2,3,4"}, {"reference_count": 9}, {"versions": {"numpy": 2}}):
        with refused(*changes):
            scores.refuse_mismatch(record_of(), record_of(**changes))


def test_records_from_before_images_were_shuffled_compare():
    def record(splits):
        return {"protocol": {"seed": 0, "splits": splits}}

    for old in (10, "10"):  # as recorded, and as the report has it
        assert scores.mismatch(record(old), record("10, shuffled")) is None
    for other in ("9, shuffled", ", shuffled", None):
        assert scores.mismatch(record(10), record(other))


def test_list_shows_what_compares_and_names_what_does_not(here, capsys):
    full = {"kid_mean": 1e-6, "kid_std": 1e-7, "precision": 0.5, "recall": 0.25}
    records = [record_of() | full, record_of(layer="pool_3") | full, record_of() | full]
    records[2]["epoch"] = 7
    records[2]["run"] = "0001-laptop-my-holiday-photos-s0"
    for name, written in (("a", records), ("b", [record_of(layer="pool_3")])):
        (here / name).mkdir()
        write_lines(Run(here / name).evaluation, written)
    list_runs(["a"])
    shown, left_out = capsys.readouterr().out.split("not comparable")
    assert (
        "r epoch 1" in shown
        and "0001-laptop-my-holiday-photos-s0 epoch 7  " in shown
        and shown.count("1.00 ") == 2
    )
    assert "1.00e-06" in shown  # not 0.0000
    assert "layer mixed_7 and pool_3" in left_out
    with refused("layer mixed_7 and pool_3"):
        list_runs(["a", "b"])


def test_what_is_no_record_is_left_out_of_the_list(tmp_path, capsys, caplog):
    good, run = record_of(), Run(tmp_path)
    text = json.dumps(good).encode()
    bad = [
        *(b"{}", b"[]", b"7", b"[" * 5000, b"1e999", b"\xff\xfe", bytes(100), text[:40]),
        *(
            json.dumps(good | change).encode()
            for change in (
                {"protocol": 1},
                {"fid_768": float("nan")},
                {"epoch": -1},
                {"run": [1]},
                {"floor": {"fid_768": "x"}},
                {"kid_std": "\x1b[2J"},
            )
        ),
    ]
    run.evaluation.write_bytes(b"\n".join([*bad, text]))
    assert scores.read_records(run.evaluation) == [good]
    assert "not records of scores: 1, 2, 3, 4, 5, 6, 7" in caplog.text
    list_runs([tmp_path])
    assert " 1.00\n" in capsys.readouterr().out
    for content in (b"", *bad):
        run.evaluation.write_bytes(content)
        with pytest.raises(UserError, match="no scores in evaluation.jsonl"):
            list_runs([tmp_path])
