"""What the commands share: their argument parser, and how they end."""

import argparse
import os
import re
import sys
from pathlib import Path

from dcgan_tf.common.errors import (
    BAD_INPUT,
    Interrupted,
    UserError,
    describe,
    is_file_system_error,
    unknown,
)
from dcgan_tf.common.log import printable


def run_command(main, argv=None):
    """Run `main(argv)` and turn what can stop it into one line on stderr and an exit code.

    Returns:
        int: 0, or the code that the caller should exit with.
    """
    try:
        return main(argv) or 0
    except UserError as error:
        message, code = str(error), error.code
    except Interrupted as stop:
        message, code = "interrupted before there was anything to save", stop.code
    except KeyboardInterrupt:
        message, code = "stopped at once; the last checkpoint is whole", 130
    except ModuleNotFoundError as error:
        message = f"{error.name} is not installed; run: pip install -r requirements.txt (README)"
        code = BAD_INPUT
    except BrokenPipeError:  # `... | head` closed our output: nothing is wrong
        sys.stderr.close()
        return 0
    except OSError as error:
        if not is_file_system_error(error):
            raise
        message, code = describe(error), BAD_INPUT
    print("error: " + printable(" ".join(message.split())), file=sys.stderr)
    return code


def typed(command):
    """str: what to type for `train`, `generate` or `evaluate`: as this program was called."""
    if Path(sys.argv[0]).stem.startswith("dcgan-"):
        return f"dcgan-{command}"
    return {"evaluate": "python -m dcgan_tf.evaluate"}.get(command, f"python {command}.py")


def leave(code):
    """End the process with this exit code.

    One of several workers ends without Python's farewell: after an error TensorFlow's server
    threads wait there for the other workers, for ever.
    """
    if os.environ.get("TF_CONFIG"):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


class _Help(argparse.ArgumentDefaultsHelpFormatter):
    """Shows defaults, except None, which says nothing."""

    def _get_help_string(self, action):
        return action.help if action.default in (None, False) else super()._get_help_string(action)


class Parser(argparse.ArgumentParser):
    """argparse with this project's errors: one line, nearest valid name, no abbreviations."""

    def __init__(self, **kwargs):
        super().__init__(allow_abbrev=False, formatter_class=_Help, **kwargs)

    def error(self, message):
        raise UserError(f"{message}; see --help")

    def parse_args(self, argv=None, namespace=None):
        parsed, extra = self.parse_known_args(argv, namespace)
        if extra:
            known = [name for name in self._option_string_actions if name.startswith("--")]
            raise UserError(unknown("flag", extra[0].split("=")[0], known))
        return parsed


def number(flag, text, default, kind, low=-float("inf")):
    """The value of a flag's text, `default` where it was not given.

    Args:
        kind: int or float; low: the smallest value that is taken.

    Raises:
        UserError: no finite number of this kind, or below `low`.
    """
    try:
        value = default if text is None else kind(text)
        if not low <= value < float("inf"):
            raise ValueError
    except ValueError:
        words = {int: "a whole number", float: "a number"}[kind]
        limit = f", {low} or more" if low > -float("inf") else ""
        raise UserError(f"{flag}: got {text!r}, expected {words}{limit}") from None
    return value


MAX_SEED = 2**32 - 1  # of numpy.random.RandomState


def parse_seeds(flag, text):
    """list[int]: "0-3,100" as 0, 1, 2, 3, 100."""
    seeds = []
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d+)(?:-(\d+))?\s*", part)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if not first <= last <= MAX_SEED:
            raise UserError(
                f"{flag}: got {text!r}, expected seeds from 0 to {MAX_SEED} such as 0-63,100"
            )
        seeds.extend(range(first, last + 1))
    return seeds


def check_choice(flag, value, choices):
    if value is not None and value not in choices:
        raise UserError(f"{flag}: got {value!r}, expected one of {', '.join(choices)}")
