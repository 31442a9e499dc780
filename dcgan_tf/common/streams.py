"""Make stdout and stderr safe to print to, and filter what C++ libraries write to stderr."""

import contextlib
import errno
import io
import logging
import os
import subprocess
import sys
from collections.abc import Iterator


def open_streams():
    """Continue when the reader of stdout or stderr, or the terminal, closes: `train.py | head -1`.

    Characters that the encoding lacks are escaped. Streams replaced by a test or notebook stay.
    """
    for number, name in ((1, "stdout"), (2, "stderr")):
        stream = getattr(sys, name)
        if stream is None:  # closed before the start, or there is no console
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDWR), "w"))
        elif os.name == "nt" and stream.isatty():  # a console is no file there
            stream.reconfigure(errors="backslashreplace")
        elif stream is getattr(sys, f"__{name}__"):
            stream.flush()
            buffer = io.BufferedWriter(_Pipe(number, "w", closefd=False))
            lasting = io.TextIOWrapper(
                buffer, stream.encoding, errors="backslashreplace", line_buffering=True
            )
            setattr(sys, name, lasting)


class _Pipe(io.FileIO):
    """An open file that discards its output once the reader has closed it."""

    def write(self, data):
        try:
            return super().write(data)
        except OSError as error:
            closed = {errno.EPIPE, errno.EIO}  # EIO for a closed terminal
            closed |= {errno.EINVAL} if os.name == "nt" else set()
            if error.errno not in closed:
                raise
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.fileno())
            os.close(nowhere)
            return super().write(data)


@contextlib.contextmanager
def stderr_through(program: str, *arguments: str) -> Iterator[int]:
    """Send what libraries in C++ write to stderr through a Python program while the block runs.

    It runs in its own process, so that the last messages before an abort get through. Yields the
    file number of its stdin.
    """
    sys.stderr.flush()
    begin = "import signal, sys; signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
    command = [sys.executable, "-ISc", begin + program, *arguments]
    kept = os.dup(2)
    try:
        with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=kept) as shown:
            pipe = shown.stdin.fileno()  # pyright: ignore[reportOptionalMemberAccess]
            os.dup2(pipe, 2)
            try:
                yield pipe
            finally:
                os.dup2(kept, 2)
    finally:
        os.close(kept)


_SHOW_UNLESS_DONE = """
text = sys.stdin.buffer.read()
if not text.endswith(b"\\0"):
    sys.stderr.buffer.write(text)
"""


@contextlib.contextmanager
def hushed() -> Iterator[None]:
    """Drop what libraries write to stderr in a block, unless the process dies there.

    Only for work that raises its errors and whose result is checked afterwards.
    """
    handlers = list(logging.root.handlers)
    try:
        with stderr_through(_SHOW_UNLESS_DONE) as pipe:
            try:
                yield
            finally:
                os.write(pipe, b"\0")
    finally:
        logging.root.handlers[:] = handlers  # absl adds one that prints everything twice
