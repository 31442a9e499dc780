"""Messages go to the terminal and into log.txt, and steer no terminal."""

import logging

from dcgan_tf.common.log import kept_in, printable, speak

log = logging.getLogger("dcgan_tf.test")


def test_a_program_s_run_keeps_all_messages_and_its_terminal_gets_those_that_it_wants(
    tmp_path, caplog, monkeypatch
):
    ours = logging.getLogger("dcgan_tf")
    monkeypatch.setattr(ours, "level", logging.NOTSET)  # as no command has called speak
    caplog.set_level("WARNING")
    with kept_in(tmp_path / "log.txt"):
        log.info("training in runs/a")
        log.warning("heed")
    log.info("later")
    assert "training in runs/a\n" in (tmp_path / "log.txt").read_text()
    assert caplog.messages == ["heed"] and (ours.level, ours.propagate) == (logging.NOTSET, True)
    assert not log.isEnabledFor(logging.INFO)
    own, seen = logging.Handler(), []  # of a program that sets up our logger
    own.emit = lambda record: seen.append(record.getMessage())
    ours.addHandler(own)
    first, second = kept_in(tmp_path / "a.txt"), kept_in(tmp_path / "b.txt")
    try:
        first.__enter__()
        second.__enter__()
        first.__exit__(None, None, None)
        log.info("of the second")
        log.warning("heed again")
        second.__exit__(None, None, None)
        log.info("later")
    finally:
        ours.removeHandler(own)
    assert seen == ["heed again"] and caplog.messages == ["heed", "heed again"]
    kept = (tmp_path / "b.txt").read_text()
    assert "of the second" in kept and "later" not in kept and not own.filters


def test_log_keeps_what_was_said_and_what_was_not_and_steers_no_terminal(tmp_path, capsys):
    speak()
    with kept_in(tmp_path / "log.txt"):
        log.info("one\ntwo")
        log.debug("for the file alone")
        log.warning("heed \x1b]0;owned\x07.jpg")
    log.info("later")
    warning = r"warning: heed \x1b]0;owned\x07.jpg"
    assert capsys.readouterr().out == f"one\ntwo\n{warning}\nlater\n"
    kept = [line.split(" ", 2)[2] for line in (tmp_path / "log.txt").read_text().splitlines()]
    assert kept == ["one", "two", "for the file alone", warning]
    assert printable("Grüße, 世界") == "Grüße, 世界"
    assert printable(b"not UTF-8 \xff".decode("utf-8", "surrogateescape")) == r"not UTF-8 \udcff"
