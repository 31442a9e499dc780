"""Make stdout and stderr safe to print to: open, encodable, tolerant of a closed pipe."""

import contextlib
import errno
import io
import logging
import os
import stat
import subprocess
import sys


def open_streams():
    """Mend stdout and stderr of this process, where they are its own and no test's or notebook's.

    A closed one leads nowhere. A character that the encoding lacks is shown escaped. A reader that
    leaves, as in `train.py | head -1`, and a terminal that is closed change nothing: the work goes
    on, and its exit code is that of the work.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:  # closed: the next file that is opened would get its number and its text
            os.open(os.devnull, os.O_RDWR)
    for number, name in ((1, "stdout"), (2, "stderr")):
        stream = getattr(sys, name)
        if stream is None or stream is getattr(sys, f"__{name}__"):
            setattr(sys, name, _lasting(stream, number))


def _lasting(stream, number):
    if os.name == "nt" and stream is not None and stream.isatty():  # a console is no file there
        stream.reconfigure(errors="backslashreplace")
        return stream
    if stream is not None:
        stream.flush()
    return io.TextIOWrapper(
        io.BufferedWriter(_Pipe(number, "w", closefd=False)),
        encoding=getattr(stream, "encoding", "utf-8"),
        errors="backslashreplace",
        line_buffering=True,
    )


class _Pipe(io.FileIO):
    """An open file whose reader may leave: from then on what is written goes nowhere."""

    def write(self, data):
        try:
            return super().write(data)
        except OSError as error:
            if not isinstance(error, BrokenPipeError) and not self._is_closed_terminal(error):
                raise
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.fileno())
            os.close(nowhere)
            return super().write(data)

    def _is_closed_terminal(self, error):
        # A closed one is no terminal any more, but it is still a device, unlike a broken disk.
        return error.errno == errno.EIO and stat.S_ISCHR(os.fstat(self.fileno()).st_mode)


@contextlib.contextmanager
def stderr_through(program: str, *arguments: str):
    """Send what libraries in C++ write to stderr through a Python program while the block runs.

    It is a process of its own, so that the last words of one that aborts get through.

    Yields:
        The file number that leads to the program's stdin, as stderr does.
    """
    sys.stderr.flush()
    begin = "import signal, sys; signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
    command = [sys.executable, "-ISc", begin + program, *arguments]
    kept = os.dup(2)
    try:
        with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=kept) as shown:
            os.dup2(shown.stdin.fileno(), 2)
            try:
                yield shown.stdin.fileno()
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
def hushed():
    """Drop what libraries in C++ write to this process' stderr while the block runs, unless it ends
    the process, and the logging to stderr that others begin there.

    Only for work whose result is checked afterwards, and whose errors are exceptions.
    """
    handlers = list(logging.root.handlers)
    try:
        with stderr_through(_SHOW_UNLESS_DONE) as pipe:
            try:
                yield
            finally:
                os.write(pipe, b"\0")
    finally:
        logging.root.handlers[:] = handlers  # absl gives the root one that shows everything twice
