"""Messages on the terminal and their copy in log.txt.

Modules log below "dcgan_tf": `info` for progress, `warning` for what the user must know, `debug`
for log.txt alone. Commands show it; a program of your own sends it where its logging says.
"""

import contextlib
import datetime
import logging
import sys
from collections.abc import Iterator
from pathlib import Path

_LOGGER = logging.getLogger("dcgan_tf")


def printable(text) -> str:
    """Escape control characters, so that no file name steers a terminal."""
    return "".join(c if c.isprintable() or c == "\n" else ascii(c)[1:-1] for c in str(text))


def on_one_line(name) -> str:
    """Escape control characters and line breaks."""
    return printable(name).replace("\n", "\\n")


def _text(record):
    text = printable(record.getMessage())
    return f"warning: {text}" if record.levelno >= logging.WARNING else text


class _Terminal(logging.Handler):
    """Writes above a progress bar, not into it."""

    def __init__(self, stream_name):
        super().__init__(logging.INFO)
        self._stream_name = stream_name

    def emit(self, record):
        from tqdm import tqdm  # its import takes a while that --help need not wait for

        stream = getattr(sys, self._stream_name)
        tqdm.write(_text(record), file=stream)
        stream.flush()


class _Kept(logging.Handler):
    """Appends to a file, each line with the time in UTC."""

    def __init__(self, path):
        super().__init__(logging.DEBUG)
        self._path = path

    def emit(self, record):
        now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M:%S")
        with self._path.open("a", encoding="utf-8", errors="backslashreplace") as file:
            file.write("".join(f"{now} {line}\n" for line in _text(record).splitlines()))


def speak(stream_name: str = "stdout"):
    """Show what is logged on `sys.stdout` or `sys.stderr`; called by a command when it starts."""
    hush()
    _LOGGER.setLevel(logging.DEBUG)
    _LOGGER.addHandler(_Terminal(stream_name))


def hush():
    """Show nothing any more, as all workers but the first do."""
    for handler in [h for h in _LOGGER.handlers if isinstance(h, _Terminal)]:
        _LOGGER.removeHandler(handler)


@contextlib.contextmanager
def kept_in(path: Path) -> Iterator[None]:
    """Write what is logged while the block runs to a file as well."""
    handler = _Kept(path)
    _LOGGER.addHandler(handler)
    try:
        yield
    finally:
        _LOGGER.removeHandler(handler)
