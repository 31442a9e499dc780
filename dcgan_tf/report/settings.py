"""Settings of a run, and how they differ from its recipe."""

from itertools import pairwise
from pathlib import Path

from dcgan_tf.common.config import FIELDS, Config, ImageConfig, groups
from dcgan_tf.common.config_file import find_config, read_config, read_table
from dcgan_tf.common.errors import UserError
from dcgan_tf.report.run_files import Files

REFERENCE = "celeba"  # what a command without --config trains


def read_settings(files: Files) -> Config | None:
    """The settings of a run; None, with a note, where they cannot be read."""
    try:
        return read_config(files.run.config)
    except (UserError, OSError) as error:
        files.notes.append(f"the settings cannot be read: {error}")
        return None


def settings(files: Files, config: Config | None, versions: dict) -> dict:
    """The settings for the page.

    Args:
        config: of read_settings; versions: what versions.json holds.

    Returns:
        dict: `recipe`, what the page calls it; `config`, its name or path as --config takes it;
        `groups`, a list of {heading, rows}, where a row has `name`, `value`, `recipe` (the value
        there, None where it is the same) and `help`. {} without settings.
    """
    if config is None:
        return {}
    recipe, named, base = _recipe(files, versions)
    return {
        "recipe": recipe,
        "config": named,
        "groups": [
            {"heading": heading, "rows": [_row(name, config, base) for name in names]}
            for heading, names in groups().items()
        ],
    }


def _row(name, config, base):
    own, other = (_in_words(getattr(settings, name)) for settings in (config, base))
    row = {"name": name, "value": own, "help": FIELDS[name].metadata["help"]}
    return row | {"recipe": None if own == other else other}


def _recipe(files, versions):
    """(str, str, Config): the recipe of the command that began the run: in words, named, read."""
    named = _named(versions.get("command"))
    try:
        return named, named, _settings(_file(named, versions.get("directory")))
    except (UserError, OSError) as error:
        files.notes.append(
            f"the recipe {named} is not here ({error}), so the settings are compared with the "
            "defaults"
        )
        return f"{REFERENCE}, the defaults", REFERENCE, Config()


def _named(command):
    """str: what --config named, the last one if there are several."""
    words = command if isinstance(command, list) else []
    words = [word for word in words if isinstance(word, str)]
    found = [b for a, b in pairwise(words) if a == "--config"]
    found += [word.partition("=")[2] for word in words if word.startswith("--config=")]
    return found[-1] if found and found[-1] else REFERENCE


def _file(named, directory):
    """Path: of a recipe by its name, or by its path from where the command was typed."""
    there = Path(directory) / named if isinstance(directory, str) else Path(named)
    return there if "\0" not in str(there) and there.is_file() else find_config(named)


def _settings(path):
    """ImageConfig: a recipe may be complete only with the command's own settings."""
    return ImageConfig(**read_table(path))


def _in_words(value):
    """str: a value as it is typed after its flag."""
    if isinstance(value, bool):
        return str(value).lower()
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
