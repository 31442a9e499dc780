"""The files of a run as far as they can be read: what cannot be becomes a note on the page."""

import json
import math
from dataclasses import dataclass, field
from pathlib import Path

from dcgan_tf.common import limits
from dcgan_tf.common.errors import one_line
from dcgan_tf.common.files import json_object
from dcgan_tf.common.runs import Run


@dataclass(frozen=True)
class Files:
    """The files of one run, read for its page.

    Attributes:
        run: whose files they are.
        notes: of what could not be read, a line each; grows as files are read.
    """

    run: Run
    notes: list[str] = field(default_factory=list)

    def note(self, path: Path, why: str):
        """Remember what is wrong with a file of the run."""
        line = f"{path.relative_to(self.run.root)}: {why}"
        if line not in self.notes:
            self.notes.append(line)

    def content(self, path: Path, most: int = limits.SCORES_BYTES) -> bytes | None:
        """All bytes of a file; None where there is none or, with a note, it cannot be read."""
        if not path.is_file():  # nor a pipe or a device, which never ends
            return self.note(path, "no regular file, left out") if path.exists() else None
        try:
            if path.stat().st_size > most:
                return self.note(path, f"more than {limits.in_words(most)}, left out")
            return path.read_bytes()
        except OSError as error:
            return self.note(path, f"cannot be read ({error.strerror})")

    def lines(self, path: Path, parse) -> list[dict]:
        """The records of a file of JSON lines.

        Args:
            parse: from a line to a record, or to None or {} where it holds none; the number of
                such lines becomes a note.
        """
        found = [parse(line) for line in (self.content(path) or b"").splitlines() if line.strip()]
        good = [record for record in found if record]
        if bad := len(found) - len(good):
            self.note(path, f"{bad} of {len(found)} lines cannot be read, left out")
        return good

    def json(self, path: Path) -> dict:
        """The JSON object that a file holds, {} where it holds none, with a note if it is there."""
        content = self.content(path)
        record = json_object(content or b"")
        if content is not None and not record:
            self.note(path, "holds no JSON object, left out")
        return record


def numbers(names: tuple[str, ...], optional: tuple[str, ...] = ()):
    """A function from a JSON line to a record of these finite numbers, or to None.

    Args:
        names: of the numbers that every record has, `epoch` among them; optional: of those that
            one may lack.
    """

    def parse(line):
        record = json_object(line)
        wanted = [*names, *(name for name in optional if record.get(name) is not None)]
        if all(is_number(record.get(name)) for name in wanted) and record["epoch"] >= 0:
            return {name: record[name] for name in wanted}
        return None

    return parse


def is_number(value) -> bool:
    """Whether a value is a finite number that a plot can show."""
    kind = isinstance(value, int | float) and not isinstance(value, bool)
    return kind and abs(value) < 1e300 and math.isfinite(value)


def as_text(value) -> str:
    """Any value of a file as a short text."""
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return limits.shorten(text, 500)


def explain(error: Exception) -> str:
    """What an exception of Pillow's, NumPy's or ours says, in a line."""
    return f"{type(error).__name__}: {one_line(error)}"
