"""Argument parser and exit handling shared by the commands."""

import argparse
import os
import re
import sys
from collections.abc import Callable
from importlib.util import find_spec

from dcgan_tf.common import limits
from dcgan_tf.common.errors import (
    BAD_INPUT,
    Interrupted,
    UserError,
    describe,
    is_file_system_error,
)
from dcgan_tf.common.log import printable
from dcgan_tf.common.streams import open_streams
from dcgan_tf.common.suggestions import path_flag, unknown


def run_command(main: Callable[..., int | None], argv=None) -> int:
    """Run `main(argv)` and turn what can stop it into one line on stderr and an exit code."""
    open_streams()
    # Only files are drawn. A backend that is not installed, such as the one of a notebook whose
    # cell runs this command, would end Matplotlib's import.
    os.environ["MPLBACKEND"] = "agg"
    try:
        return _finish(main, argv)
    except UserError as error:
        message, code = error.for_command(), error.code
    except Interrupted as stop:
        message, code = "interrupted before there was anything to save", stop.code
    except KeyboardInterrupt as stop:
        code = stop.args[0] if stop.args else 130  # StopRequest gives its own
        message = "stopped at once; every file that is written is whole"
    except ModuleNotFoundError as error:
        message = f"{error.name} is not installed; run: pip install -r requirements.txt (README)"
        code = BAD_INPUT
    except OSError as error:
        if not is_file_system_error(error):
            raise
        message, code = describe(error), BAD_INPUT
    except Exception as error:
        if not _is_out_of_memory(error):
            raise
        message, code = _OUT_OF_MEMORY, BAD_INPUT
    message = limits.shorten(" ".join(message.split()), limits.MESSAGE_CHARACTERS)
    print(f"error: {printable(message)}", file=sys.stderr)
    return code


def _finish(main, argv):
    try:
        code = main(argv) or 0
    except SystemExit as stop:  # argparse ends --help so
        code = int(stop.code or 0)
    sys.stdout.flush()  # a disk that is full says so here rather than when Python ends
    return code


_OUT_OF_MEMORY = (
    "too little memory for this; use a smaller --batch-size, --width or number of images, "
    "or close other programs"
)


def _is_out_of_memory(error):
    """Know also TensorFlow's error, without importing it."""
    return isinstance(error, MemoryError) or type(error).__name__ == "ResourceExhaustedError"


def leave(code: int):
    """End the process with this exit code.

    One of several workers ends without Python's farewell: after an error TensorFlow's server
    threads wait there for the other workers, without end.
    """
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:  # said already, where it could be; Python would end with code 120
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    if os.environ.get("TF_CONFIG"):
        os._exit(code)
    sys.exit(code)


class _Help(argparse.ArgumentDefaultsHelpFormatter):
    """Show defaults, except None and False, which say nothing."""

    def _get_help_string(self, action):
        return action.help if action.default in (None, False) else super()._get_help_string(action)


class Parser(argparse.ArgumentParser):
    """argparse with this project's errors: one line, nearest valid name, no abbreviations.

    Args:
        values: values that people take for flags, such as a recipe's name, and what to write.
    """

    def __init__(self, values=(), **kwargs):
        super().__init__(allow_abbrev=False, formatter_class=_Help, **kwargs)
        self._values = dict(values)

    def error(self, message):
        raise UserError(f"{limits.shorten(message, 300)}; see --help")

    def parse_args(self, args=None, namespace=None):
        parsed, extra = self.parse_known_intermixed_args(args, namespace)
        if extra:
            known = [name for name in self._option_string_actions if name.startswith("--")]
            name = extra[0].split("=")[0]
            meant = self._values.get(name.lstrip("-").lower())
            if not name.startswith("-"):
                raise UserError(_without_flag(extra[0], args or sys.argv[1:], known, meant))
            if meant:
                raise UserError(f"unknown flag {name}; did you mean {meant}?")
            raise UserError(unknown("flag", name, known))
        return parsed


def _without_flag(word, args, known, meant):
    flags = [flag for flag in ("--run", "--data", "--model") if flag in known]
    places = " or ".join(path_flag(flag, limits.shorten(word)) for flag in flags)
    answer = f"did you mean {meant or places}?"
    at = args.index(word)
    if at and os.path.exists(args[at - 1]) and os.path.exists(word):  # the shell expanded it
        answer = "quote a pattern such as '*.jpg'"
    return f"got {limits.shown(word)} without a flag before it; {answer}"


def number(flag, text, default, kind, low=-float("inf"), high=float("inf")):
    """Read a flag's value as a finite number.

    Args:
        text: what was typed; None for `default`.
        kind: int or float.
        low, high: the smallest and the largest value that is taken.
    """
    try:
        value = default if text is None else kind(text)
        if not low <= value <= high or abs(value) == float("inf"):
            raise ValueError
    except ValueError:
        words = {int: "a whole number", float: "a number"}[kind]
        words += f", {low} or more" if low > -float("inf") else ""
        words += f", {high} at most" if high < float("inf") else ""
        raise UserError(f"{flag}: got {limits.shown(text)}, expected {words}") from None
    return value


def check_scikit_learn(what: str):
    """Refuse at once what would fail for want of a package after minutes of work."""
    if find_spec("sklearn") is None:
        raise UserError(
            f"{what} needs scikit-learn, not installed here; run in the project's folder: "
            'pip install ".[analysis]"'
        )


def at_home(flag: str, text: str) -> str:
    """Read a path from a flag, with the folder that ~ or ~name stands for."""
    if not text:
        raise UserError("got an empty text, expected a path", flag=flag)
    if "\0" in text:  # from Python; no operating system passes one on
        raise UserError(f"{flag}: got {limits.shown(text)}, expected a path without null bytes")
    path = os.path.expanduser(text)
    if path.startswith("~"):
        raise UserError(
            f"{flag} {limits.shorten(text)}: there is no such user, or no home folder; "
            "a folder whose own name begins so is written ./~name"
        )
    return path


def parse_seeds(flag: str, text: str, most: int = limits.GENERATED) -> list[int]:
    """Read seeds, "0-3,100" as 0, 1, 2, 3, 100; UserError where there are more than `most`."""
    spans = [_span(part) for part in text.split(",")]
    if not all(spans):
        raise UserError(
            f"{flag}: got {limits.shown(text)}, expected seeds from 0 to {limits.SEED} "
            "such as 0-63,100"
        )
    count = sum(map(len, spans))
    if count > most:
        raise UserError(
            f"{flag}: got {count:,} seeds, expected {most:,} at most; --limit raises this"
        )
    return [seed for span in spans for seed in span]


def _span(text):
    """Read "4-7" or "4" as a range of seeds; an empty one where it is neither."""
    match = re.fullmatch(r"\s*(\d{1,20})(?:-(\d{1,20}))?\s*", text)
    first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
    return range(first, last + 1) if first <= last <= limits.SEED else range(0)


def check_choice(flag: str, value: str | None, choices):
    if value is not None and value not in choices:
        raise UserError(f"{flag}: got {limits.shown(value)}, expected one of {', '.join(choices)}")
