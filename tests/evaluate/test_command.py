"""The command line of evaluate: what it takes, refuses and lists."""

import json

import pytest
from evaluating import command, record_of
from helpers import assert_refused, refused

from dcgan_tf.common import scores
from dcgan_tf.common.atomic_write import write_lines
from dcgan_tf.common.errors import UserError
from dcgan_tf.common.runs import Run
from dcgan_tf.evaluate.command import parse_evaluation
from dcgan_tf.evaluate.score_table import list_runs


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["--runn", "x"], ["unknown flag --runn", "--run"]),
        (["--run", "nowhere"], ["--run nowhere", "no such"]),
        (["--samples", "1"], ["--samples: got '1'", "2"]),
        (["--samples", "many"], ["--samples", "whole number"]),
        (["--samples", "5000000000"], ["--samples", "1000000"]),
        (["--samples", "9" * 5000], ["--samples: got", "(5,002 characters)"]),
        (["--seed", str(2**32)], ["--seed", "4294967295"]),
        (["--features", "mixed_8"], ["--features", "pool_3", "mixed_7"]),
        (["--against", "all"], ["--against", "subset", "rest", "data"]),
        (["--inception", "nowhere.npz"], ["--inception nowhere.npz", "no such file"]),
        (["--inception", "/dev/zero"], ["--inception", "no regular file"]),
        (["A", "B", "C"], ["got 3 places", "two"]),
        (["."], ["no config.toml", "two places, A and B"]),
        ([".", "nowhere"], ["nowhere", "no such file"]),
        (["--run=~nobody-here/faces"], ["--run", "~nobody-here/faces", "no such user"]),
        (["--cache=a\0b"], ["--cache", "without null bytes"]),
        ([".", ""], ["empty text"]),
        ([".", ".", "--run", "x"], ["--run", "two folders"]),
        ([".", ".", "--crop", "9,9,3,3"], ["--crop", "left < right"]),
        ([".", ".", "--size", "0"], ["--size: got '0'", "4"]),
        ([".", ".", "--size", "20000"], ["--size: got", "1024"]),
        ([".", ".", "--memorisation"], ["--memorisation", "needs a run"]),
        (["--list", "--json"], ["--json: does not go with --list"]),
        (["--list", "r", "--scored-crop", "x"], ["--scored-crop: does not go with --list"]),
        ([".", ".", "--save-reference", "."], ["--save-reference .", "a folder"]),
        ([".", ".", "--save-reference", "file/x.npz"], ["--save-reference", "is not a folder"]),
        (["--reference", "nowhere.npz"], ["--reference nowhere.npz", "no such file"]),
        ([], ["no run"]),
    ],
)
def test_mistakes_are_named_without_tensorflow(here, args, words):
    (here / "file").touch()
    with refused(*words):
        parse_evaluation(args)


def test_a_run_has_its_own_crop_and_needs_a_generator(there):
    with refused("crop: a run has its own"):
        parse_evaluation(["--run", "runs/a", "--crop", "center"])
    with refused("against data: needs --data"):
        parse_evaluation(["--run", "runs/a", "--against", "data"])
    with refused("runs/a: a run, expected images", "compare"):
        parse_evaluation(["runs/a", "runs/a"])
    (there / "runs/a/generator.keras").unlink()
    with refused("no generator.keras"):
        parse_evaluation(["--run", "runs/a"])


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


def test_list_shows_what_compares_and_names_what_does_not(here, capsys):
    full = {"kid_mean": 1e-6, "kid_std": 1e-7, "precision": 0.5, "recall": 0.25}
    records = [record_of() | full, record_of(layer="pool_3") | full, record_of() | full]
    records[2]["epoch"] = 7
    for name, written in (("a", records), ("b", [record_of(layer="pool_3")])):
        (here / name).mkdir()
        write_lines(Run(here / name).evaluation, written)
    list_runs(["a"])
    shown, left_out = capsys.readouterr().out.split("not comparable")
    assert "r epoch 1" in shown and "r epoch 7" in shown and shown.count("1.00 ") == 2
    assert "1.00e-06" in shown  # not 0.0000
    assert "layer mixed_7 and pool_3" in left_out
    with refused("layer mixed_7 and pool_3"):
        list_runs(["a", "b"])
    with refused("no evaluation.jsonl"):
        list_runs(["c"])


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
    assert "line 1, 2, 3, 4, 5, 6, 7" in caplog.text
    list_runs([tmp_path])
    assert " 1.00\n" in capsys.readouterr().out
    for content in (b"", *bad):
        run.evaluation.write_bytes(content)
        with pytest.raises(UserError, match="no evaluation.jsonl with scores"):
            list_runs([tmp_path])
