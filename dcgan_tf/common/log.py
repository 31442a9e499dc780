"""Messages on the terminal and their copy in log.txt.

Modules log below "dcgan_tf": `info` for progress, `warning` for what the user must know, `debug`
for log.txt alone. Commands print it; in your own program, Python's logging settings apply.
"""

import contextlib
import datetime
import logging
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

_LOGGER = logging.getLogger("dcgan_tf")


def printable(text) -> str:
    """Escape control characters, so that no file name can control a terminal."""
    return "".join(c if c.isprintable() or c == "\n" else ascii(c)[1:-1] for c in str(text))


def on_one_line(name) -> str:
    """Escape control characters and line breaks."""
    return printable(name).replace("\n", "\\n")


def _text(record):
    text = printable(record.getMessage())
    return f"warning: {text}" if record.levelno >= logging.WARNING else text


class _Terminal(logging.Handler):
    """Write above a progress bar, not into it."""

    def __init__(self, stream_name):
        super().__init__(logging.INFO)
        self._stream_name = stream_name

    def emit(self, record):
        from tqdm import tqdm  # slow to import, and not needed by --help

        stream = getattr(sys, self._stream_name)
        tqdm.write(_text(record), file=stream)
        stream.flush()


class _LogFile(logging.Handler):
    """Append lines to a file, each with the time in UTC."""

    def __init__(self, path):
        super().__init__(logging.DEBUG)
        self._path = path

    def emit(self, record):
        now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M:%S")
        with self._path.open("a", encoding="utf-8", errors="backslashreplace") as file:
            file.write("".join(f"{now} {line}\n" for line in _text(record).splitlines()))


_LOCK, _kept, _raised = threading.Lock(), 0, contextlib.ExitStack()


class _Above(logging.Handler):
    """Hand messages from a level on to the handlers of the program."""

    def emit(self, record):
        logging.getLogger().callHandlers(record)


def speak(stream_name: str = "stdout"):
    """Print log messages to `sys.stdout` or `sys.stderr`; commands call this first."""
    hush()
    _LOGGER.setLevel(logging.DEBUG)
    _LOGGER.addHandler(_Terminal(stream_name))


def hush():
    """Stop printing log messages; all workers but the first call this."""
    for handler in [h for h in _LOGGER.handlers if isinstance(h, _Terminal)]:
        _LOGGER.removeHandler(handler)


@contextlib.contextmanager
def kept_in(path: Path) -> Iterator[None]:
    """Also write log messages to a file while the block runs, those of all levels.

    Where no command has called `speak`, others see the messages that they would see without this.
    """
    global _kept, _raised
    handler = _LogFile(path)
    _LOGGER.addHandler(handler)
    with _LOCK:  # runs in several threads need it as long as one of them goes on
        _kept += 1
        if _kept == 1:
            _raised = _raise_level()
    try:
        yield
    finally:
        _LOGGER.removeHandler(handler)
        with _LOCK:
            _kept -= 1
            if not _kept:
                _raised.close()


def _raise_level() -> contextlib.ExitStack:
    """Let our logger take messages of all levels, but hand the others' handlers no more of them."""
    undo, level = contextlib.ExitStack(), _LOGGER.getEffectiveLevel()
    if level <= logging.DEBUG:
        return undo

    def wanted(record):
        return record.levelno >= level

    for handler in _LOGGER.handlers:
        if not isinstance(handler, _LogFile):
            handler.addFilter(wanted)
            undo.callback(handler.removeFilter, wanted)
    if _LOGGER.propagate:
        above = _Above(level)
        _LOGGER.addHandler(above)
        undo.callback(_LOGGER.removeHandler, above)
        _LOGGER.propagate = False
        undo.callback(setattr, _LOGGER, "propagate", True)
    undo.callback(_LOGGER.setLevel, _LOGGER.level)
    _LOGGER.setLevel(logging.DEBUG)
    return undo
