"""Read the files of a run; unreadable ones become a note on the page."""

import json
from pathlib import Path

from PIL import Image

from dcgan_tf.common import limits
from dcgan_tf.common.errors import one_line
from dcgan_tf.common.foreign import BadFile, is_count, is_number, json_object, read_file, reason
from dcgan_tf.common.images import read_grid
from dcgan_tf.common.runs import Run

_COUNTS = ("epoch", "step", "images_seen")  # whole numbers in metrics.jsonl and timing.jsonl


class Files:
    """The files of one run; `notes` gets a line for each file that cannot be read."""

    def __init__(self, run: Run):
        self.run, self.notes = run, []

    def note(self, path: Path, why: str) -> None:
        """Note what is wrong with a file of the run."""
        line = f"{path.relative_to(self.run.root)}: {why}"
        if line not in self.notes:
            self.notes.append(line)

    def content(self, path: Path) -> bytes | None:
        """All bytes of a file; None if it is missing or, with a note, cannot be read."""
        try:
            return read_file(path) if path.exists() else None
        except (BadFile, OSError) as error:
            return self.note(path, f"{reason(error)}, left out")

    def image(self, path: Path) -> Image.Image | None:
        """A PNG in its own pixels; None if it is missing or, with a note, damaged or too large."""
        try:
            return read_grid(path) if path.exists() else None
        except Exception as error:  # Pillow raises many kinds
            why = f"{type(error).__name__}: {one_line(error)}"
            return self.note(path, f"left out, it cannot be opened ({why})")

    def lines(self, path: Path, parse) -> list[dict]:
        """Parse the lines of a file into records; a note counts the lines that fail."""
        found = [parse(line) for line in (self.content(path) or b"").splitlines() if line.strip()]
        good = [record for record in found if record]
        if bad := len(found) - len(good):
            self.note(path, f"{bad} of {len(found)} lines cannot be read, left out")
        return good

    def epochs(self, path: Path, names: tuple[str, ...], optional: tuple[str, ...]) -> list[dict]:
        """The last record of each epoch, in order, with its finite numbers of these names."""

        def parse(line):
            record = json_object(line)
            wanted = [*names, *(name for name in optional if record.get(name) is not None)]
            kinds = {name: is_count if name in _COUNTS else is_number for name in wanted}
            right = all(kind(record.get(name)) for name, kind in kinds.items())
            return {name: record[name] for name in wanted} if right else None

        found = {record["epoch"]: record for record in self.lines(path, parse)}
        return [found[epoch] for epoch in sorted(found)]

    def json(self, path: Path) -> dict:
        """The JSON object in a file; {} if there is none, with a note if the file exists."""
        content = self.content(path)
        record = json_object(content or b"")
        if content is not None and not record:
            self.note(path, "holds no JSON object, left out")
        return record


def as_text(value) -> str:
    """Any value from a file as a short text."""
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return limits.shorten(text, 500)
