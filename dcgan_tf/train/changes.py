"""Learning rates that changed when a run resumed; each change counts from its step on.

config.toml holds the newest values, and after them one table `[[changes]]` for each Change. A run
that resumes from a checkpoint of an earlier step takes the values that were valid there and makes
each change again at its step, so it ends as if it had never been interrupted.
"""

import dataclasses
import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dcgan_tf.common.config import MIDWAY, Config, check_value
from dcgan_tf.common.config_file import read_config, read_toml
from dcgan_tf.common.errors import UserError


@dataclass(frozen=True)
class Change:
    """One learning rate, from one step on; `step` and `epoch` were done when it came."""

    step: int
    epoch: int
    setting: str
    old: float
    new: float


def read(path: Path) -> list[Change]:
    """Read the changes in a config.toml, in their order.

    Raises:
        UserError: the tables are damaged, or change a setting that a run may not change any more.
    """
    tables = read_toml(path).get("changes", [])
    try:
        found = sorted((Change(**table) for table in tables), key=lambda change: change.step)
        others = {change.setting for change in found} - {*MIDWAY}
        for change in found if not others else ():
            check_value(change.setting, change.old)
            check_value(change.setting, change.new)
    except (TypeError, UserError) as error:
        raise UserError(f"{path}: changes: {error}; mend the file") from None
    if others:
        raise UserError(
            f"{path}: changes: this run changed its {', '.join(sorted(others))[:100]}, and only "
            f"{' and '.join(MIDWAY)} may change in a run; start a new one with --init-from"
        )
    return found


def collect(
    path: Path, wanted: Config, step: int, epoch: int, trained: dict[str, Any]
) -> list[Change]:
    """Collect the changes of a run that resumes with the settings `wanted`, the new ones included.

    `path` is the run's config.toml, which need not be there yet; `step` and `epoch` are done.
    `trained` has the settings of the checkpoint, because the file may have been edited since.
    """
    if not path.is_file():
        return []
    saved, earlier, planned = read_config(path), read(path), []
    known = {name: trained.get(name, getattr(saved, name)) for name in MIDWAY}
    for name in MIDWAY:
        own = [change for change in earlier if change.setting == name]
        new = getattr(wanted, name)
        if new != (own[-1].new if own else known[name]):
            first = own[0].old if own else known[name]
            own = [change for change in own if change.step < step]  # later ones did not happen
            old = own[-1].new if own else first
            if step and new != old:
                own.append(Change(step, epoch, name, old, new))
        planned += own
    return sorted(planned, key=lambda change: change.step)


def at(config: Config, changes: list[Change], step: int) -> Config:
    """Return the settings that are valid after `step` steps; `config` has the newest."""
    values = {change.setting: change.old for change in reversed(changes)}
    values |= {change.setting: change.new for change in changes if change.step <= step}
    return replace(config, **values)


def to_toml(changes: Iterable[Change]) -> str:
    """Write the tables for config.toml."""
    return "".join(
        "\n[[changes]]\n"
        + "".join(f"{n} = {json.dumps(v)}\n" for n, v in dataclasses.asdict(change).items())
        for change in changes
    )
