"""How long a training still takes: said early, in every minute and after every epoch."""

import logging
import types

import pytest

from dcgan_tf.common.checkpoints import Journal
from dcgan_tf.train.callbacks.progress import Pace, ProgressBar

LOGS = {"d_loss": 0.5, "g_loss": 1.25}


@pytest.fixture
def training(monkeypatch, caplog):
    """Runs steps that take 2 s each, of 100 an epoch; returns the lines that were said."""
    clock = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    caplog.set_level(logging.DEBUG)
    journal = Journal(100, "")
    pace = Pace(journal, batch_size=16, epochs=3)
    bar = ProgressBar(journal, pace, 16, 3, types.SimpleNamespace(now=True))

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

    run.pace, run.bar = pace, bar
    return run


def test_after_half_a_minute_it_says_how_long_the_whole_training_takes(training):
    assert training(15) == []
    assert training(1) == [("INFO", "about 9 min to go (8 images/s)")]


def test_without_a_terminal_there_is_a_line_a_minute(training):
    training(16)
    assert training(29) == []
    ((level, text),) = training(1)
    assert level == "INFO"
    assert text == "epoch 1/3, 46% of it  d_loss 0.500  g_loss 1.250  8 images/s  8 min to go"
    assert len(training(50)) == 1
    assert len(training(200 - 96)) == 3  # the end of an epoch counts as a line


def test_on_a_terminal_the_bar_has_the_time_and_log_txt_the_lines(training, monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    told = training(99)
    assert [level for level, _ in told] == ["INFO", "DEBUG", "DEBUG"]
    assert training.bar._bar.postfix == "d_loss=0.500, g_loss=1.250, to go=7 min"


def test_nothing_is_known_before_the_second_step_and_nothing_left_after_the_last(training):
    assert training.pace.left == ""
    training(1)
    assert training.pace.left == ""
    training(299)
    assert training.pace.left == "" and training.pace.images_per_second == pytest.approx(8)
