"""Scores while training: the lines, the best generator, and what a kill leaves of them."""

import json
import logging

import keras
import pytest
import stress
from helpers import REPO, SMALL

from dcgan_tf.common.atomic_write import write_lines
from dcgan_tf.common.foreign import read_lines
from dcgan_tf.common.runs import Run
from dcgan_tf.models.sampling import weights_sha256
from dcgan_tf.train.callbacks import scores

FLAGS = (
    *("--config", "demo", "--subset", "48", *SMALL, "--batch-size", "16"),
    *("--sample-count", "4", "--epochs", "4", "--score-every", "2", "--score-samples", "16"),
    *("--checkpoint-every", "3", "--run", "runs/a"),
)
# The tiny network in Inception's place.
PRELUDE = f"""
import sys
sys.path[:0] = [{str(REPO)!r}, {str(REPO / "tests" / "support")!r}]
from dcgan_tf.evaluate import scorer
from tiny_inception import TinyInception
scorer.load_inception = lambda path: TinyInception(("mixed_7", "pool_3", "logits"))
"""


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A folder with a run of four epochs, scored after the second and the fourth."""
    cwd = tmp_path_factory.mktemp("whole")
    finish(cwd)
    return cwd


def finish(cwd):
    """Train in `cwd` to the end."""
    told = stress.kill_at_publication(cwd, 0, True, FLAGS, prelude=PRELUDE)
    assert told.startswith("had finished"), told


def test_scores_are_logged_drawn_and_the_best_generator_is_kept(whole):
    run = Run(whole / "runs/a")
    records = read_lines(run.evaluation)
    assert [record["epoch"] for record in records] == [2, 4]
    assert [record["step"] for record in records] == [6, 12]
    for record in records:
        assert record["fid"] > record["floor"]["fid"] and record["inception_score"] >= 1
        assert record["protocol"]["scored_count"] == 16
    best = json.loads(run.best_score.read_text())
    assert best == min(records, key=lambda record: record["fid"])
    kept = keras.saving.load_model(run.best_generator, compile=False)
    assert weights_sha256(kept) == best["protocol"]["generator_sha256"]
    assert run.scores.stat().st_size > 5000
    assert "scores of epoch 2: FID " in run.log.read_text()
    events = b"".join(path.read_bytes() for path in run.tensorboard.glob("events*"))
    assert b"scores/fid" in events and b"scores/recall" in events


def test_killed_at_the_files_of_the_scores_it_ends_the_same(whole, tmp_path):
    """kill -9 in epoch 2, with no checkpoint yet, and in epoch 4, whose last one is of epoch 3.

    The second life writes the lines three times: without the later ones, and with one score each.
    """
    for count, name in ((1, "best/score.json"), (3, "evaluation.jsonl")):
        told = stress.kill_at_publication(tmp_path, count, False, FLAGS, name, PRELUDE)
        assert told.startswith("killed"), told
    run, expected = Run(tmp_path / "runs/a"), Run(whole / "runs/a")
    assert [record["epoch"] for record in read_lines(run.evaluation)] == [2, 4]
    finish(tmp_path)
    assert run.evaluation.read_bytes() == expected.evaluation.read_bytes()
    assert run.best_score.read_bytes() == expected.best_score.read_bytes()
    kept = keras.saving.load_model(run.best_generator, compile=False)
    best = json.loads(run.best_score.read_text())
    assert weights_sha256(kept) == best["protocol"]["generator_sha256"]
    assert run.metrics.read_bytes() == expected.metrics.read_bytes()


# The bookkeeping alone


def line(epoch, fid, generator="a", by="training", **protocol):
    stamp = {"generator_sha256": generator * 64, "layer": "pool_3", "scored_count": 16} | protocol
    shares = {"precision": 0.5, "recall": 0.5}
    return {"epoch": epoch, "by": by, "fid": fid, "floor": None, "protocol": stamp} | shares


@pytest.fixture
def run(tmp_path):
    return Run(tmp_path)


def test_a_resumed_run_forgets_its_later_and_damaged_lines_but_not_the_command_s_nor_the_best(run):
    lines = [line(1, 5), line(2, 3, "b"), line(3, 4, "c"), line(3, 4, "c", by=None)]
    damaged = '{"by": "training"}\n{"by": "training", "epoch": []}\n[]\n7\n{"epoch": 1\n'
    text = "\n".join([*map(json.dumps, lines), damaged, "[" * 100_000])
    run.evaluation.write_bytes(text.encode() + b"\n\xff\xfe\x00")
    scores.forget_later(run, 1, lines[1])
    assert read_lines(run.evaluation) == [lines[0], lines[1], lines[3]]


def test_line_made_again_replaces_its_earlier_self_and_stays_in_order(run):
    write_lines(run.evaluation, [line(1, 5), line(3, 3, "b")])
    for record in (line(1, 5), line(2, 4, "d"), line(3, 2, "c")):  # 3: the best one's line stays
        scores.add_record(run, record)
    found = [(r["epoch"], r["fid"]) for r in read_lines(run.evaluation)]
    assert found == [(1, 5), (2, 4), (3, 3), (3, 2)]


def test_only_a_lower_score_of_the_same_protocol_beats_the_best(caplog):
    caplog.set_level(logging.INFO)
    assert scores.is_best(None, line(1, 5))
    assert not scores.is_best(line(1, 5), line(2, 5))
    assert scores.is_best(line(1, 5), line(2, 4.9, "b"))
    assert "another protocol" not in caplog.text
    assert scores.is_best(line(1, 5), line(2, 9, scored_count=32))
    assert "scored_count 16 and 32" in caplog.text
    record = line(3, 1.5) | {"kid_mean": 1e-3, "precision": None, "recall": None}
    found = scores.describe(record)  # a score that cannot be had is a dash
    assert found.endswith("FID 1.500  KID 1.00e-03  precision -  recall -")


def small_model():
    return keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])


def test_best_starts_anew_where_its_score_cannot_be_read(run, caplog):
    assert scores.restore_best(run) is None  # there is none yet
    scores.publish_best(run, small_model(), line(1, 5))
    assert scores.restore_best(run) == line(1, 5)
    assert not caplog.messages
    for content in (b"", b"[]", b'{"epoch": 1', b"\xff\x00", b'{"by": "training", "epoch": 1}'):
        run.best_score.write_bytes(content)
        assert scores.restore_best(run) is None
    run.best_score.unlink()
    assert scores.restore_best(run) is None
    assert caplog.text.count("best/ starts anew") == 6


@pytest.mark.slow
def test_plot_leaves_out_what_does_not_compare(run):
    def drawn(*lines):
        write_lines(run.evaluation, lines)
        scores.draw_scores(run, lines[-1], lines[-1])
        return run.scores.read_bytes()

    one = drawn(line(2, 4, "b"))
    other_protocol = drawn(line(1, 50, layer="mixed_7"), line(2, 4, "b"))
    assert one != other_protocol  # named in the title
    assert other_protocol == drawn(line(1, 90, layer="mixed_7"), line(2, 4, "b"))  # not plotted
    assert other_protocol != drawn(line(1, 50), line(2, 4, "b"))
