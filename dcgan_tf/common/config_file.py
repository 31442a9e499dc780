"""Read and write settings as TOML; find the recipes in configs/."""

import json
import re
import tomllib
from dataclasses import replace
from pathlib import Path

from dcgan_tf.common.config import FIELDS, Config, check_value, groups, merge_settings
from dcgan_tf.common.errors import UserError, one_line
from dcgan_tf.common.foreign import BadFile, read_file
from dcgan_tf.common.pretrained import PREFIX
from dcgan_tf.common.suggestions import unknown

_BYTES = 2**20  # of a config file: 1 MiB
_PACKAGE = Path(__file__).resolve().parents[1]
# Inside the installed package, else next to the source.
CONFIGS = next(p for p in (_PACKAGE / "configs", _PACKAGE.parent / "configs") if p.is_dir())

ALIASES = {"minutes": "quick", "half-hour": "laptop", "night": "overnight"}  # recipes by their time
OWN_IMAGES = "laptop"  # the default recipe for images other than CelebA's


def to_toml(config: Config) -> str:
    """Write a config as TOML, one commented line per field, under the headings of --help."""
    blocks = []
    for heading, members in groups().items():
        lines = (
            f"{name} = {_toml_value(getattr(config, name))}  # {FIELDS[name].metadata['help']}\n"
            for name in members
            if name not in ("epochs", "images") or getattr(config, name)  # only the one in use
        )
        blocks.append(f"# {heading}\n" + "".join(lines))
    return "\n".join(blocks)


def _toml_value(value):
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")  # invalid in TOML


def names() -> list[str]:
    """Name the recipes in configs/."""
    return sorted(path.stem for path in CONFIGS.glob("*.toml"))


def find_config(named: str | Path) -> Path:
    """The file of a config given by name (`demo`) or by path (`my/own.toml`)."""
    for path in (CONFIGS / f"{ALIASES.get(str(named), named)}.toml", Path(named)):
        if path.exists():
            return path
    raise UserError(
        f"{unknown('config', str(named), [*names(), *ALIASES])}; there are {', '.join(names())}"
    )


def load_recipe(name: str | Path, **changes) -> Config:
    """Load a recipe by its name, such as "faces", or from a TOML file, with some fields changed.

    Raises:
        UserError: no such recipe, an unknown field, a wrong value, settings that contradict.

    Examples:
        >>> from dcgan_tf import load_recipe
        >>> config = load_recipe("faces", width=0.25, dataset="folder")
        >>> config.average, config.crop
        ('half_life', 'center')
    """
    for key in changes.keys() - FIELDS.keys():
        raise UserError(unknown("setting", key, FIELDS))
    return Config(**merge_settings(read_table(find_config(name)), changes))


def read_config(path: str | Path) -> Config:
    """Read a TOML file over the defaults; UserError as for read_table or Config."""
    settings = read_table(path)
    try:
        return Config(**settings)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None


def read_table(path: str | Path) -> dict:
    """Read the fields of a TOML file and check each one.

    Raises:
        UserError: broken TOML, an unknown key, a wrong type or value; the file is named.
    """
    table = read_toml(path)
    table.pop("changes", None)  # of a run; train/changes.py reads them
    _drop_removed(path, table)
    for key, value in table.items():
        if key not in FIELDS:
            raise UserError(f"{path}: {unknown('key', key, FIELDS)}")
        if isinstance(value, list) and all(type(item) in (int, str) for item in value):
            table[key] = ",".join(map(str, value)) if FIELDS[key].type is str else tuple(value)
        try:
            check_value(key, table[key])
        except UserError as error:
            raise UserError(f"{path}: {error}") from None
    return table


def _drop_removed(path, table):
    """Drop the settings of older versions that had no effect; refuse those that had one."""
    into_g = table.pop("average_into_g", 0)
    table.pop("average_power", None)
    if table.get("average") == "power" or into_g != 0:
        raise UserError(
            f'{path}: average = "power" and average_into_g no longer exist; use '
            'average = "half_life", or an older version of this project'
        )


def without_places(config: Config) -> Config:
    """Clear the paths, which are useless on another machine; keep bundled networks."""
    started = config.init_from if config.init_from.startswith(PREFIX) else ""
    return replace(
        config, data="", label_table="", packs=Config.packs, inception="", init_from=started
    )


def read_toml(path: str | Path) -> dict:
    """Read a file as TOML; UserError if it is not."""
    try:
        return tomllib.loads(read_file(path, _BYTES).decode("utf-8-sig"))
    except BadFile as bad:
        raise UserError(f"{path}: {bad}; expected a config file") from None
    except (ValueError, RecursionError) as error:
        raise UserError(
            f"{path}: not valid TOML in UTF-8: {one_line(error)}; correct the file"
        ) from None


def recipe_of(versions: dict, default: str) -> str:
    """The recipe that a run's versions.json records; for older runs, the last --config."""
    if isinstance(named := versions.get("recipe"), str):
        return named
    command = versions.get("command")
    words = "\0".join(map(str, command)) if isinstance(command, list) else ""
    return (re.findall(r"--config[\0=]([^\0]+)", words) or [default])[-1]
