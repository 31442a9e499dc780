"""What is said goes to the terminal and into log.txt, and steers no terminal."""

import io
import logging
import sys

import pytest

from dcgan_tf.common.log import hush, kept_in, printable, speak

log = logging.getLogger("dcgan_tf.test")


@pytest.fixture(autouse=True)
def quiet_afterwards():
    yield
    hush()


def kept(path):
    """The lines of a log file without their times."""
    return [line.split(" ", 2)[2] for line in path.read_text(encoding="utf-8").splitlines()]


def test_log_keeps_what_was_said_and_what_was_not(tmp_path, capsys):
    speak()
    with kept_in(tmp_path / "log.txt"):
        log.info("one\ntwo")
        log.debug("for the file alone")
        log.warning("heed this")
    log.info("later")
    assert capsys.readouterr().out == "one\ntwo\nwarning: heed this\nlater\n"
    expected = ["one", "two", "for the file alone", "warning: heed this"]
    assert kept(tmp_path / "log.txt") == expected


def test_names_cannot_steer_the_terminal(tmp_path, capsys):
    speak()
    name = "\x1b]0;owned\x07.jpg"
    with kept_in(tmp_path / "log.txt"):
        log.info(f"skipped {name}")
    expected = r"skipped \x1b]0;owned\x07.jpg"
    assert capsys.readouterr().out == expected + "\n"
    assert kept(tmp_path / "log.txt") == [expected]
    assert printable("Grüße, 世界") == "Grüße, 世界"
    assert printable(b"not UTF-8 \xff".decode("utf-8", "surrogateescape")) == r"not UTF-8 \udcff"


def test_an_ascii_terminal_gets_what_it_can_show(monkeypatch):
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii", newline="\n")
    monkeypatch.setattr(sys, "stdout", stream)
    speak()
    log.info("Grüße")
    assert stream.buffer.getvalue() == b"Gr\\xfc\\xdfe\n"
