"""How long a training still takes: said early, in every minute and after every epoch."""

import io
import logging
import sys
import types

import pytest

from dcgan_tf.common.checkpoints import Journal
from dcgan_tf.train.callbacks.progress import ProgressBar

LOGS = {"d_loss": 0.774, "g_loss": 1.402}


@pytest.fixture
def training(monkeypatch, caplog):
    """Runs steps that take 2 s each, of 100 an epoch; returns the lines that were said."""
    clock = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    caplog.set_level(logging.DEBUG)
    journal = Journal(100, "")
    bar = ProgressBar(journal, types.SimpleNamespace(now=True))
    bar.set_model(types.SimpleNamespace(batch_size=16))
    bar.set_params({"epochs": 3})

    def run(steps):
        caplog.clear()
        for _ in range(steps):
            if journal.step % 100 == 0:
                bar.on_epoch_begin(journal.step // 100)
            clock[0] += 60 if journal.step == 0 else 2  # the first step compiles
            journal.step += 1
            bar.on_train_batch_end(0, LOGS)
            if journal.step % 100 == 0:
                bar.on_epoch_end(journal.step // 100 - 1)
        return [(record.levelname, record.getMessage()) for record in caplog.records]

    run.bar = bar
    return run


def test_without_a_terminal_there_is_an_early_estimate_and_a_line_a_minute(training):
    assert training(15) == []
    assert training(1) == [("INFO", "about 9 min left (8 images/s)")]
    assert training(29) == []
    text = "epoch 1/3 46%  8 images/s  d_loss 0.774  g_loss 1.402  8 min left"
    assert training(1) == [("INFO", text)]
    assert len(training(50)) == 1
    assert len(training(200 - 96)) == 3  # the end of an epoch counts as a line


@pytest.mark.parametrize(("encoding", "full"), [("utf-8", "█"), ("ascii", "#")])
def test_on_a_terminal_a_bar_of_80_columns_ends_in_the_time_left(
    encoding, full, training, monkeypatch
):
    terminal = io.TextIOWrapper(io.BytesIO(), encoding)
    terminal.isatty = lambda: True
    monkeypatch.setattr(sys, "stderr", terminal)
    told = training(47)
    assert [level for level, _ in told] == ["INFO", "DEBUG"]  # which log.txt has
    training.bar._bar.refresh()
    terminal.flush()
    line = terminal.buffer.getvalue().decode(encoding).split("\r")[-1]
    assert len(line) < 80
    assert line.startswith(f"epoch 1/3 {full}")
    assert line.endswith(" 47%  8 img/s  D 0.77 G 1.40  8 min left")


def test_nothing_is_known_before_the_second_step_and_nothing_left_after_the_last(training):
    for steps in (0, 1, 299):
        training(steps)
        assert training.bar.left == ""
    assert training.bar.images_per_second == pytest.approx(8)
