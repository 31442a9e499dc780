"""The command line of evaluate: what it takes, refuses and lists."""

import contextlib
import json
import random
from pathlib import Path

import pytest
from evaluating import command, record_of
from helpers import (
    assert_refused,
    refused,
)

from dcgan_tf.common import scores
from dcgan_tf.common.atomic_write import write_lines
from dcgan_tf.common.errors import UserError
from dcgan_tf.common.runs import Run
from dcgan_tf.evaluate import command as evaluate
from dcgan_tf.evaluate import score_table
from dcgan_tf.evaluate.command import parse_evaluation

WHOLE = ["", "-1", "1", "1.5", "nan", "inf", "1e9", "0x10", "٣", "9" * 30, "9" * 5000, "one", "1_0"]
BOXES = ["", "1", "1,2,3", "4,4,4,4", "-1,0,5,5", "a,b,c,d", "1,2,3,4,5", "nan,0,1,1", "9" * 5000]
GOOD = {
    "run": "r",
    "epoch": 1,
    "fid_768": 1.25,
    "kid_mean": 1e-3,
    "kid_std": None,
    "inception_score": None,
    "precision": 0.5,
    "recall": 0.25,
    "floor": None,
    "protocol": {"layer": "mixed_7", "seed": 0},
}
ODD = [None, [], {}, "x", 10**400, float("nan"), float("inf"), -1, True, "\x1b[2J", [[1]], {"a": 1}]


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["--runn", "x"], ["unknown flag --runn", "--run"]),
        (["--run", "nowhere"], ["--run nowhere", "no such run"]),
        (["--samples", "1"], ["--samples", "between 2 and 1000000"]),
        (["--samples", "many"], ["--samples", "whole number"]),
        (["--features", "mixed_8"], ["--features", "pool_3", "mixed_7"]),
        (["--against", "all"], ["--against", "subset", "rest", "data"]),
        (["--inception", "nowhere.npz"], ["--inception nowhere.npz", "no such file"]),
        (["A"], ["A: no such run"]),
        (["."], [".: no config.toml, so it is no run"]),
        (["a", "b", "c"], ["got 3 places", "two, A and B"]),
        (["--memorisation", "--samples", "50001"], ["--samples: got 50001", "50,000 at most"]),
        ([".", "nowhere"], ["nowhere", "no such file"]),
        (["--run=~nobody-here/faces"], ["--run: got '~nobody-here/faces'", "no such user"]),
        (["--cache=a\0b"], ["--cache", "without null bytes"]),
        ([".", ""], ["A B", "empty text"]),
        ([".", ".", "--run", "x"], ["--run", "two folders"]),
        ([".", ".", "--crop", "9,9,3,3"], ["--crop", "left < right"]),
        ([".", ".", "--size", "0"], ["--size", "between 4 and 1024"]),
        ([".", ".", "--memorisation"], ["--memorisation", "needs a run"]),
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
    with refused("runs/a: a run, expected images;", "compare"):
        evaluate.parse_evaluation(["runs/a", "runs/a"])
    assert evaluate.parse_evaluation(["a"]).run.root == Path("runs/a")
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


def values(seed):
    """A flag, and a value for it that is odd."""
    draw = random.Random(seed)
    flag = draw.choice(["--samples", "--seed", "--size", "--crop", "--scored-crop"])
    value = draw.choice(BOXES if "crop" in flag else WHOLE)
    return flag, value if draw.random() < 0.7 else value + draw.choice(" \t\n\x1b,'é")


@pytest.mark.parametrize("seed", range(20))
def test_odd_values_are_refused_or_within_the_limits(here, seed):
    (here / "A").mkdir()
    flag, value = values(seed)
    try:
        request = parse_evaluation(["A", "A", f"{flag}={value}"])
    except UserError as error:
        assert flag in error.for_command()
        return
    assert 0 <= request.seed < 2**32 and 4 <= request.size <= 1024
    assert request.samples == 0 or 2 <= request.samples <= 1_000_000


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--seed", str(2**32)], ["--seed", "between 0 and 4294967295"]),
        (["--size", "20000"], ["--size", "between 4 and 1024"]),
        (["--samples", "5000000000"], ["--samples", "between 2 and 1000000"]),
        (["--inception", "/dev/zero"], ["--inception", "no regular file"]),
        (["--inception", ""], ["--inception", "empty"]),
        (["--cache", ""], ["--cache", "empty"]),
    ],
)
def test_what_is_too_large_or_no_file_is_named_with_its_limit(here, flags, words):
    (here / "A").mkdir()
    with refused(*words):
        parse_evaluation(["A", "A", *flags])


@pytest.mark.parametrize(
    "changes", [{"crop": "1,2,3,4"}, {"reference_count": 9}, {"versions": {"numpy": 2}}]
)
def test_different_protocols_are_refused_and_the_field_is_named(changes):
    with pytest.raises(UserError, match=next(iter(changes))):
        scores.refuse_mismatch(record_of(), record_of(**changes))


def test_what_was_scored_may_differ_and_a_missing_protocol_may_not():
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


def odd_line(draw):
    """bytes: a line that is no record, or one that is damaged."""
    kind = draw.randrange(6)
    if kind == 0:
        return draw.choice([b"{}", b"[]", b"7", b"null", b'"x"', b"true", b"[" * 5000, b"1e999"])
    if kind == 1:
        return draw.randbytes(draw.randrange(1, 80)).replace(b"\n", b"")
    text = json.dumps(GOOD).encode()
    if kind == 2:
        return text[: draw.randrange(1, len(text))]
    record = dict(GOOD)
    if kind == 3:
        del record[draw.choice(list(record))]
    elif kind == 4:
        record[draw.choice(list(record))] = draw.choice(ODD)
    else:
        record["floor"] = dict.fromkeys(["fid_768", "kid_mean"], draw.choice(ODD))
    return json.dumps(record).encode()


@pytest.mark.parametrize("seed", range(15))
def test_scores_are_listed_past_rubbish(tmp_path, capsys, seed):
    draw = random.Random(seed)
    lines = [odd_line(draw) for _ in range(draw.randrange(1, 8))]
    lines.insert(draw.randrange(len(lines) + 1), json.dumps(GOOD).encode())
    run = Run(tmp_path)
    run.evaluation.write_bytes(b"\n".join(lines))
    assert GOOD in scores.read_records(run.evaluation)
    assert all(scores.is_record(record) for record in scores.read_records(run.evaluation))
    with contextlib.suppress(UserError):  # the newest may have another protocol: named
        score_table.list_runs([tmp_path])
    assert "\x1b" not in capsys.readouterr().out


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"[]", b"7", b"\xff\xfe", b"\0" * 100, b"[" * 100_000, b"1" * 5000]
)
def test_a_file_without_records_is_said_to_have_none(tmp_path, caplog, content):
    Run(tmp_path).evaluation.write_bytes(content)
    with refused("no evaluation.jsonl with scores"):
        score_table.list_runs([tmp_path])
    assert ("line 1" in caplog.text) == bool(content)
