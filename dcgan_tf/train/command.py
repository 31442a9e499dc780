"""Defaults < config file < flags: the command line of training, without importing TensorFlow."""

import argparse
import difflib
import tomllib
from dataclasses import dataclass, replace
from pathlib import Path

from dcgan_tf.common.config import FIELDS, Config, check_value, expected, flag, resolve
from dcgan_tf.common.errors import UserError

CONFIGS = Path(__file__).resolve().parents[2] / "configs"


@dataclass(frozen=True)
class Request:
    """What one call of train.py asks for.

    Attributes:
        config: the resolved settings.
        config_name: where they came from, for the run's name.
        run_dir: the directory named by --run, or None for a new numbered one.
        dry_run: print the plan and touch nothing.
    """

    config: Config
    config_name: str
    run_dir: Path | None
    dry_run: bool


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
        parsed, unknown = self.parse_known_args(argv, namespace)
        if unknown:
            known = [name for name in self._option_string_actions if name.startswith("--")]
            raise UserError(_unknown("flag", unknown[0].split("=")[0], known))
        return parsed


def _unknown(what, name, known):
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]}?" if near else "see --help for the valid ones"
    return f"unknown {what} {name}; {hint}"


def parse_training(argv=None):
    """Read train.py's command line.

    Returns:
        Request: checked as far as flags and files in TOML can be.

    Raises:
        UserError: an unknown flag or key, a wrong type or value, sizes that do not fit.
    """
    parser = Parser(
        prog="train.py",
        description="Train a DCGAN. Every setting of a config file is also a flag here.",
        epilog="example: python train.py --epochs 200 --subset 2000",
        argument_default=argparse.SUPPRESS,
    )
    parser.add_argument("--config", metavar="NAME", help=f"one of {', '.join(names())}, or a file")
    parser.add_argument("--run", metavar="DIR", help="the run's directory; an existing run goes on")
    parser.add_argument("--dry-run", action="store_true", help="print the plan, touch nothing")
    for name, spec in FIELDS.items():
        # Built-in help formatting would print the suppressed defaults: name them ourselves.
        text = f"{spec.metadata['help']} [{_default_text(spec.default)}]".replace("%", "%%")
        if spec.type is bool:
            action = argparse.BooleanOptionalAction
            parser.add_argument(flag(name), dest=name, action=action, help=text)
        else:
            metavar = _metavar(spec)
            parser.add_argument(flag(name), dest=name, metavar=metavar, help=text)
    given = vars(parser.parse_args(argv))
    named, dry_run = given.pop("config", None), given.pop("dry_run", False)
    run_dir = Path(given.pop("run")) if "run" in given else None
    saved = run_dir / "config.toml" if run_dir and not named else None
    if saved and saved.is_file():
        base, config_name = read_config(saved), run_dir.name
    else:
        base = read_config(find_config(named or "celeba"))
        config_name = Path(named or given.get("dataset", "celeba")).stem
    flags = {name: _parse(name, text) for name, text in given.items()}
    for name in ("data", "packs", "init_from"):
        if flags.get(name) == "":
            raise UserError(f"{flag(name)}: got an empty text, expected a path")
    if flags.get("inception") and not Path(flags["inception"]).is_file():
        raise UserError(f"--inception {flags['inception']}: no such file")
    config = resolve(replace(base, **flags))
    return Request(config, config_name, run_dir, dry_run)


def _default_text(default):
    return ",".join(map(str, default)) if isinstance(default, tuple) else default


def _metavar(spec):
    if spec.metadata["choices"]:
        return "|".join(map(str, spec.metadata["choices"]))
    return {int: "N", float: "X", str: "TEXT"}.get(spec.type, "N,N,...")


def _parse(name, text):
    """The value of field `name` from its flag's text."""
    kind = FIELDS[name].type
    try:
        if kind == tuple[int, ...]:
            value = tuple(int(part) for part in text.split(","))
        else:
            value = kind(text)
    except ValueError:
        raise UserError(f"{flag(name)}: got {text!r}, expected {expected(name)}") from None
    check_value(name, value)
    return value


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


def names():
    """list[str]: the configs that come with the project."""
    return sorted(path.stem for path in CONFIGS.glob("*.toml"))


def find_config(named):
    """Path: the file of a config given by name (`demo`) or by path (`my/own.toml`)."""
    for path in (CONFIGS / f"{named}.toml", Path(named)):
        if path.is_file():
            return path
    raise UserError(_unknown("config", named, names()) + f"; there are {', '.join(names())}")


def read_config(path):
    """Read a TOML file on top of the defaults.

    Args:
        path: a file that states only what differs from the defaults.

    Returns:
        Config: not yet resolved.

    Raises:
        UserError: broken TOML, an unknown key, a wrong type or value; the file is named.
    """
    try:
        table = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"{path}: not valid TOML: {error}; mend the file") from None
    except UnicodeDecodeError:
        raise UserError(f"{path}: not a text file; expected TOML in UTF-8") from None
    for key, value in table.items():
        if key not in FIELDS:
            raise UserError(f"{path}: {_unknown('key', key, FIELDS)}")
        if isinstance(value, list):
            value = ",".join(map(str, value)) if FIELDS[key].type is str else tuple(value)
            table[key] = value
        elif FIELDS[key].type == tuple[int, ...]:
            raise UserError(f"{path}: {key}: got {value!r}, expected a list of whole numbers")
        try:
            check_value(key, value)
        except UserError as error:
            raise UserError(f"{path}: {error}") from None
    return replace(Config(), **table)
