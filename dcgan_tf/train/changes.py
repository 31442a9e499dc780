"""Learning rates that changed when a run resumed: tables [[changes]] at the end of config.toml."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from dcgan_tf.common.config import MIDWAY, Config
from dcgan_tf.common.config_file import read_config, read_toml
from dcgan_tf.common.errors import UserError


def collect(
    path: Path, wanted: Config, step: int, epoch: int, trained: dict[str, Any]
) -> list[dict[str, Any]]:
    """Collect the changes of a run that resumes with the settings `wanted`, the new ones last.

    Each has its `step` and `epoch`, which were done when it came, the name of its `setting`, and
    the values `old` and `new`. `path` is the run's config.toml, which need not be there yet.
    `trained` has the settings of the checkpoint, because the file may have been edited since.

    Raises:
        UserError: the tables are damaged.
    """
    if not step or not path.is_file():
        return []
    saved = read_config(path)
    try:
        found = [
            table
            for table in read_toml(path).get("changes", [])
            if table["step"] < step or (table["step"] == step and _is_in(trained, table))
        ]
    except (KeyError, TypeError):
        raise UserError(f"{path}: its tables [[changes]] are damaged; mend the file") from None
    for name in MIDWAY:
        old, new = trained.get(name, getattr(saved, name)), getattr(wanted, name)
        if new != old:
            found.append({"step": step, "epoch": epoch, "setting": name, "old": old, "new": new})
    return found


def _is_in(trained, table):
    """Whether the checkpoint has the new rate, or is of 0.1.0, which did not record the rates."""
    name = table["setting"]
    return name in MIDWAY and trained.get(name, table["new"]) == table["new"]


def to_toml(changes: Iterable[dict[str, Any]]) -> str:
    """Write the tables for config.toml."""
    return "".join(
        "\n[[changes]]\n" + "".join(f"{name} = {json.dumps(v)}\n" for name, v in change.items())
        for change in changes
    )
