"""Read and write settings as TOML; find the recipes in configs/."""

import contextlib
import json
import os
import tomllib
from dataclasses import replace
from pathlib import Path

from dcgan_tf.common import limits
from dcgan_tf.common.config import FIELDS, Config, check_value, groups
from dcgan_tf.common.errors import UserError, one_line
from dcgan_tf.common.foreign import BadFile, read_file
from dcgan_tf.common.pretrained import PREFIX
from dcgan_tf.common.suggestions import unknown


def to_toml(config):
    """str: the whole config as TOML, one commented line a field, under the headings of --help."""
    blocks = []
    for heading, members in groups().items():
        lines = (
            f"{name} = {_toml_value(getattr(config, name))}  # {FIELDS[name].metadata['help']}\n"
            for name in members
        )
        blocks.append(f"# {heading}\n" + "".join(lines))
    return "\n".join(blocks)


def _toml_value(value):
    """A value as TOML. A path that is no UTF-8, which no TOML can hold, is written by its bytes."""
    if isinstance(value, tuple):
        return json.dumps(list(value))
    text = json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if text.encode("utf-8", "replace").decode() == text:
        return text
    return f'{{ bytes = "{os.fsencode(value).hex()}" }}'


def _from_toml(name, value):
    """The value of field `name` from what TOML holds; unchanged where it is of the wrong kind."""
    kind = FIELDS[name].type
    if isinstance(value, list) and all(type(item) in (int, str) for item in value):
        return ",".join(map(str, value)) if kind is str else tuple(value)
    if kind is str and isinstance(value, dict) and list(value) == ["bytes"]:
        with contextlib.suppress(TypeError, ValueError):  # then it is refused as a table
            return os.fsdecode(bytes.fromhex(value["bytes"]))
    return value


def _configs():
    """Path: the folder of the configs: in the package if that is installed, else beside it."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "configs"
    return installed if installed.is_dir() else package.parent / "configs"


CONFIGS = _configs()


def names():
    """list[str]: the configs that come with the project."""
    return sorted(path.stem for path in CONFIGS.glob("*.toml"))


def find_config(named):
    """Path: the file of a config given by name (`demo`) or by path (`my/own.toml`)."""
    for path in (CONFIGS / f"{named}.toml", Path(named)):
        if path.is_file():
            return path
    if Path(named).exists():
        raise UserError(f"--config {limits.shorten(named)}: not a file; expected a file in TOML")
    raise UserError(f"{unknown('config', named, names())}; there are {', '.join(names())}")


def load_recipe(name, **changes):
    """Config: a recipe by its name, such as "faces", or a TOML file, with some fields changed.

    Raises:
        UserError: no such recipe, an unknown field, a wrong value, settings that do not fit.

    Example:

    >>> from dcgan_tf import load_recipe
    >>> config = load_recipe("faces", width=0.25, dataset="folder")
    >>> config.average, config.crop
    ('half_life', 'center')
    """
    for key in changes.keys() - FIELDS.keys():
        raise UserError(unknown("setting", key, FIELDS))
    return Config(**read_table(find_config(name)) | changes)


def read_config(path):
    """Config: a TOML file, which states only what differs from the defaults, on top of them.

    Raises:
        UserError: as read_table, or settings that do not fit each other.
    """
    settings = read_table(path)
    try:
        return Config(**settings)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None


def read_table(path):
    """dict: the fields that a TOML file states, each checked for itself.

    Raises:
        UserError: broken TOML, an unknown key, a wrong type or value; the file is named.
    """
    table = read_toml(path)
    table.pop("changes", None)  # of a run; train/changes.py reads them
    for key, value in table.items():
        if key not in FIELDS:
            raise UserError(f"{path}: {unknown('key', key, FIELDS)}")
        try:
            table[key] = _from_toml(key, value)
            check_value(key, table[key])
        except UserError as error:
            raise UserError(f"{path}: {error}") from None
    return table


def without_places(config):
    """Config: the same without paths, which say nothing on another machine than the one they were
    given on; networks that it started from stay only if they come with the package."""
    started = config.init_from if config.init_from.startswith(PREFIX) else ""
    own = {name: getattr(Config, name) for name in ("data", "packs", "inception")}
    return replace(config, **own, init_from=started)


def read_toml(path):
    """dict: what a file holds, UserError where it holds no TOML."""
    try:
        content = read_file(path, limits.CONFIG_BYTES)
        return tomllib.loads(content.decode("utf-8-sig").replace("\r\n", "\n"))
    except BadFile as bad:
        raise UserError(f"{path}: {bad}; expected a config file") from None
    except UnicodeDecodeError:
        raise UserError(f"{path}: not a text file; expected TOML in UTF-8") from None
    except RecursionError:
        raise UserError(f"{path}: nested too deep; expected lines such as epochs = 5") from None
    except ValueError as error:  # also for an integer of more digits than Python reads
        raise UserError(f"{path}: not valid TOML: {one_line(error)}; mend the file") from None
