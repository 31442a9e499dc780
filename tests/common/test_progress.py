"""Progress: a bar on a terminal, elsewhere a line early and then one a minute."""

import io
import sys
from types import SimpleNamespace

from dcgan_tf.common import progress


def test_without_a_terminal_a_line_comes_early_and_then_every_minute(monkeypatch, caplog):
    caplog.set_level("INFO", "dcgan_tf")
    clock = SimpleNamespace(now=100.0)
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: clock.now))
    monkeypatch.setattr(sys, "stderr", None)  # as where it is closed
    with progress.progress(10_000, "preparing", "img") as bar:
        clock.now += 20
        bar.update(0)
        for _ in range(100):
            clock.now += 1
            bar.update(50)
    assert [record.getMessage() for record in caplog.records] == [
        "preparing: 0 of 10,000 img, 0 a second, unknown time left",
        "preparing: 3,000 of 10,000 img, 38 a second, 3 min left",
    ]
    words = [progress.duration(seconds) for seconds in (4.6, 89, 3599, 11100)]
    assert words == ["5 s", "1 min", "1 h 00 min", "3 h 05 min"]


def test_a_terminal_has_a_bar(monkeypatch):
    stream = io.StringIO()
    stream.isatty = lambda: True
    monkeypatch.setattr(sys, "stderr", stream)
    with progress.progress(2, "preparing", "img") as bar:
        bar.update(2)
    assert "preparing" in stream.getvalue() and "2/2" in stream.getvalue()
