"""Progress: a bar on a terminal, elsewhere a line early and then one a minute."""

import io
import sys

import pytest

from dcgan_tf.common import progress


class Clock:
    def __init__(self):
        self.now = 100.0

    def monotonic(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(progress, "time", clock)
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    return clock


def test_without_a_terminal_a_line_comes_early_and_then_every_minute(clock, caplog):
    caplog.set_level("INFO", "dcgan_tf")
    with progress.progress(10_000, "preparing", "img") as bar:
        for _ in range(100):  # a hundred seconds at 50 a second
            clock.now += 1
            bar.update(50)
    lines = [record.getMessage() for record in caplog.records]
    assert lines == [
        "preparing: 500 of 10,000 img, 50 a second, 3 min left",
        "preparing: 3,500 of 10,000 img, 50 a second, 2 min left",
    ]


def test_nothing_done_yet_is_no_division_by_zero(clock, caplog):
    caplog.set_level("INFO", "dcgan_tf")
    with progress.progress(5, "reading", "file") as bar:
        clock.now += 30
        bar.update(0)
    assert "0 of 5 file" in caplog.text and "unknown time left" in caplog.text


def test_without_stderr_there_are_lines(monkeypatch):
    monkeypatch.setattr(sys, "stderr", None)
    assert isinstance(progress.progress(5, "x"), progress.Lines)


def test_a_terminal_has_a_bar(monkeypatch):
    stream = io.StringIO()
    stream.isatty = lambda: True
    monkeypatch.setattr(sys, "stderr", stream)
    with progress.progress(2, "preparing", "img") as bar:
        bar.update(2)
    assert "preparing" in stream.getvalue() and "2/2" in stream.getvalue()


@pytest.mark.parametrize(
    ("seconds", "words"), [(4.6, "5 s"), (89, "1 min"), (3599, "1 h 00 min"), (11100, "3 h 05 min")]
)
def test_durations_in_words(seconds, words):
    assert progress.duration(seconds) == words
