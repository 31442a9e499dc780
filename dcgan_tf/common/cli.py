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
from dcgan_tf.common.errors import BAD_INPUT, Interrupted, UserError, describe, is_file_system_error
from dcgan_tf.common.log import printable
from dcgan_tf.common.streams import open_streams
from dcgan_tf.common.suggestions import typed, unknown


def run(main: Callable[..., int | None]):
    """Run `main` as a program, and end the process with its exit code."""
    code = run_command(main)
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:  # reported already, where it could be; Python would end with code 120
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    if os.environ.get("TF_CONFIG"):  # TensorFlow's threads would wait for the other workers
        os._exit(code)
    sys.exit(code)


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
    except Exception as error:  # TensorFlow's by name, without importing it
        if not isinstance(error, MemoryError) and type(error).__name__ != "ResourceExhaustedError":
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


class _Help(argparse.HelpFormatter):
    """Show a default after the help text, in brackets."""

    def _get_help_string(self, action):
        shown = isinstance(action.default, int | float) and action.default is not False
        return f"{action.help} [%(default)s]" if shown else action.help


class Parser(argparse.ArgumentParser):
    """argparse with this project's errors: one line, nearest valid name, no abbreviations.

    The help begins with `examples`: words that may follow the command, each with a comment.
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
        print(self.format_help(), end="", file=file)  # argparse's own hides that a disk is full

    def parse_args(self, args: Sequence[str] | None = None, namespace=None):  # pyright: ignore
        """Parse flags and words in any order; UserError names the flag that is wrong."""
        try:
            parsed, extra = self.parse_known_intermixed_args(args, namespace)
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
    """Write commands and what each does in two columns, the first of `width` or more."""
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
    """Read a path, or what stands for images such as `tfds`, as an argparse type."""
    try:
        return at_home(text)
    except UserError as error:
        raise argparse.ArgumentTypeError(error.message) from None


def path(text: str) -> Path:
    """Read a path, as an argparse type."""
    return Path(path_text(text))


def at_home(text: str, flag: str = "") -> str:
    """Put the folder that ~ or ~name stands for into a path."""
    if not text or "\0" in text:
        kind = "a path without null bytes" if text else "a path"
        raise UserError(
            f"got {limits.shown(text) if text else 'an empty text'}, expected {kind}", flag=flag
        )
    found = os.path.expanduser(text)
    if found.startswith("~"):
        raise UserError(
            f"got {limits.shown(text)}, but there is no such user, or no home folder; "
            "a folder whose own name begins so is written ./~name",
            flag=flag,
        )
    return found


def check_scikit_learn(what: str):
    """Refuse at once what would fail for want of a package after minutes of work."""
    if find_spec("sklearn") is None:
        words = f"{what} needs scikit-learn, not installed here; run in the project's folder:"
        raise UserError(f'{words} pip install ".[analysis]"')


def parse_seeds(flag: str, text: str, most: int = limits.GENERATED) -> list[int]:
    """Read seeds, "0-3,100" as 0, 1, 2, 3, 100; UserError where there are more than `most`."""
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
