"""The argument parser and the exit codes that the commands share."""

import argparse
import math
import os
import re
import sys
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path

from dcgan_tf import __version__
from dcgan_tf.common import limits
from dcgan_tf.common.errors import (
    BAD_INPUT,
    Interrupted,
    UserError,
    describe,
    is_file_system_error,
    not_installed,
)
from dcgan_tf.common.log import printable
from dcgan_tf.common.streams import open_streams
from dcgan_tf.common.suggestions import typed, unknown


def run(main: Callable[..., int | None]):
    """Run `main` as a program, and end the process with its exit code."""
    code = run_command(main)
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:  # reported already; Python would exit with code 120
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    if os.environ.get("TF_CONFIG"):  # TensorFlow's threads would wait for the other workers
        os._exit(code)
    sys.exit(code)


def run_command(main: Callable[..., int | None], argv=None) -> int:
    """Run `main(argv)`; print an expected error as one line on stderr, return the exit code."""
    open_streams()
    # Plots go to files. A notebook sets a backend for its commands, which may be missing here and
    # would break Matplotlib's import.
    os.environ["MPLBACKEND"] = "agg"
    try:
        return _finish(main, argv)
    except UserError as error:
        message, code = error.for_command(), error.code
    except Interrupted as stop:
        message, code = "interrupted before there was anything to save", stop.code
    except KeyboardInterrupt as stop:
        code = stop.args[0] if stop.args else 130  # StopRequest has its own
        message = "stopped at once; all files written so far are complete"
    except ModuleNotFoundError as error:
        message = f"{error.name} is not installed; run: pip install -r requirements.txt (README)"
        code = BAD_INPUT
    except OSError as error:
        if not is_file_system_error(error):
            raise
        message, code = describe(error), BAD_INPUT
    except Exception as error:  # TensorFlow's error by name, without its import
        if not isinstance(error, MemoryError) and type(error).__name__ != "ResourceExhaustedError":
            raise
        message, code = _OUT_OF_MEMORY, BAD_INPUT
    message = limits.shorten(" ".join(message.split()), limits.MESSAGE_CHARACTERS)
    print(f"error: {printable(message)}", file=sys.stderr)
    return code


def _finish(main, argv):
    try:
        code = main(argv) or 0
    except SystemExit as stop:  # argparse exits after --help
        code = int(stop.code or 0)
    sys.stdout.flush()  # reports a full disk here, not when Python exits
    return code


_OUT_OF_MEMORY = (
    "out of memory; use a smaller --batch-size, --width or number of images, "
    "or close other programs"
)


class _Help(argparse.HelpFormatter):
    """Show a default after the help text, in brackets."""

    def _get_help_string(self, action):
        shown = isinstance(action.default, int | float) and action.default is not False
        return f"{action.help} [%(default)s]" if shown else action.help


class Parser(argparse.ArgumentParser):
    """argparse with one-line errors, suggestions for misspelled flags and no abbreviations.

    The help begins with `examples`: {arguments: comment}.
    """

    def __init__(self, command, description, examples: dict[str, str], **more):
        super().__init__(
            prog=typed(command),
            description=description,
            allow_abbrev=False,
            exit_on_error=False,
            formatter_class=_Help,
            **more,
        )
        self._examples = examples
        self.add_argument("--version", action="version", version=f"dcgan_tf {__version__}")

    def format_help(self):
        lines = {f"{self.prog} {line}".strip(): about for line, about in self._examples.items()}
        return f"examples:\n{columns(lines)}\n\n{super().format_help()}"

    def print_help(self, file=None):
        print(self.format_help(), end="", file=file)  # argparse's own hides a full disk

    def parse_args(self, args: Sequence[str] | None = None, namespace=None):  # pyright: ignore
        """Parse flags and words in any order; UserError names the wrong flag."""
        given: list[str] = []
        for word in map(str, sys.argv[1:] if args is None else args):
            # argparse would take -1,0,1 after --fill for a flag.
            action = self._option_string_actions.get(given[-1]) if given else None
            takes_one = action is not None and action.nargs is None
            if takes_one and "--" not in given and re.fullmatch(r"-[\d.][\d.,eE+-]*", word):
                given[-1] += f"={word}"
            else:
                given.append(word)
        try:
            parsed, extra = self.parse_known_intermixed_args(given, namespace)
        except argparse.ArgumentError as error:
            message = limits.shorten(error.message, 300)
            raise UserError(message, flag=error.argument_name or "") from None
        if not extra:
            return parsed
        known = [name for name in self._option_string_actions if name.startswith("--")]
        name = extra[0].split("=")[0]
        if not name.startswith("-"):
            raise UserError(f"got {limits.shown(extra[0])} as well; see {self.prog} --help")
        raise UserError(unknown("flag", name, known))


def columns(lines: dict[str, str], width: int = 0) -> str:
    """Format commands and their descriptions in two columns, the first at least `width` wide."""
    width = max(width, *map(len, lines))
    return "\n".join(f"  {line:<{width}}  {about}" for line, about in lines.items())


def number(kind, low=-math.inf, high=math.inf):
    """Make an argparse type: a finite int or float from `low` to `high`."""
    words = "a whole number" if kind is int else "a number"
    if high < math.inf:
        words += f" between {low} and {high}"
    elif low > -math.inf:
        words += f", {low} or more"

    def read(text):
        try:
            value = kind(text)
            if low <= value <= high and abs(value) < math.inf:
                return value
        except ValueError:
            pass
        raise argparse.ArgumentTypeError(f"got {limits.shown(text)}, expected {words}")

    return read


def path_text(text: str) -> str:
    """Read a path, or a word for a download such as `tfds`, as an argparse type."""
    try:
        return at_home(text)
    except UserError as error:
        raise argparse.ArgumentTypeError(error.message) from None


def path(text: str) -> Path:
    """Read a path, as an argparse type."""
    return Path(path_text(text))


def at_home(text: str, flag: str = "") -> str:
    """Expand ~ or ~name at the start of a path."""
    if not text or "\0" in text:
        kind = "a path without null bytes" if text else "a path"
        raise UserError(
            f"got {limits.shown(text) if text else 'an empty text'}, expected {kind}", flag=flag
        )
    found = os.path.expanduser(text)
    if found.startswith("~"):
        raise UserError(
            f"got {limits.shown(text)}, but there is no such user, or no home folder; "
            "for a folder with this name write ./~name",
            flag=flag,
        )
    return found


def check_scikit_learn(flag: str = ""):
    """Raise UserError if scikit-learn is missing, before minutes of work."""
    if find_spec("sklearn") is None:
        raise not_installed("scikit-learn", "analysis", flag)


def parse_seeds(flag: str, text: str, most: int = limits.GENERATED) -> list[int]:
    """Read seeds: "0-3,100" is 0, 1, 2, 3, 100; UserError for more than `most`."""
    spans = []
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d{1,20})(?:-(\d{1,20}))?\s*", part)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if not first <= last <= limits.SEED:
            words = f"expected seeds from 0 to {limits.SEED} such as 0-63,100"
            raise UserError(f"got {limits.shown(text)}, {words}", flag=flag)
        spans.append(range(first, last + 1))
    if (count := sum(map(len, spans))) > most:
        words = f"got {count:,} seeds, expected {most:,} at most; --limit raises this"
        raise UserError(words, flag=flag)
    return [seed for span in spans for seed in span]
