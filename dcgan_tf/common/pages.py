"""HTML pages in one file: template, inlined data and scripts, content security policy."""

import base64
import hashlib
import html
import json
import re
from collections.abc import Sequence
from pathlib import Path

from dcgan_tf.common.errors import UserError
from dcgan_tf.common.files import digest, from_here
from dcgan_tf.common.foreign import BadFile, open_regular
from dcgan_tf.common.runs import Run

_HERE = Path(__file__).parent  # with the style and the script that all pages share


def fill(template: str, parts: dict[str, str]) -> bytes:
    """Replace each {{name}} of a template once, and encode the text in UTF-8."""
    return re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], template).encode()


def render(
    folder: Path, title: str, styles: list[str], scripts: list[str], data, **more: str
) -> bytes:
    """Fill a folder's template.html with its styles, scripts, data and `more`."""

    def read(*paths):
        return "".join(path.read_text(encoding="utf-8") for path in paths)

    style = read(_HERE / "look.css", *(folder / name for name in styles))
    script = read(_HERE / "elements.js", *(folder / name for name in scripts))
    parts = {
        "title": html.escape(title),
        "style": style,
        "style_hash": policy_hash(style),
        "script": script,
        "script_hash": policy_hash(script),
        "data": as_script_data(data),
    }
    return fill(read(folder / "template.html"), parts | more)


def as_script_data(data) -> str:
    """Write JSON that can neither end its script element nor begin another."""
    text = json.dumps(data, allow_nan=False, separators=(",", ":"))
    return re.sub("[<>&]", lambda match: f"\\u{ord(match[0]):04x}", text)


def policy_hash(text: str) -> str:
    """Hash a style or a script for a Content-Security-Policy."""
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def check_place(out: Path, kind: str, flag: str, mark: bytes = b""):
    """Raise UserError for a folder, a missing parent folder, or a file of another kind.

    Args:
        kind: "report" or "explorer", as in the template's meta element; or another kind of file.
        mark: bytes within the first 1,000 of such a file, if it is not a page.
    """
    flag = f"{flag} {out}"
    if out.is_dir():
        raise UserError("a folder; expected the name of a file", flag=flag)
    if not out.parent.is_dir():
        raise UserError(f"there is no folder {out.parent}; make it, or name another", flag=flag)
    if out.exists() and (mark or page_mark(kind)) not in _head(out):
        words = f"a file that is no {kind}; move it away or name another with {flag.split()[0]}"
        raise UserError(words, flag=flag)


def page_mark(kind: str) -> bytes:
    """The element that identifies a page of ours."""
    return f'<meta name="generator" content="dcgan_tf {kind}">'.encode()


def identify_runs(runs: Sequence[Run]) -> str:
    """SHA-256 over the folders of some runs, for a file that shows them together."""
    return digest(sorted(str(run.root.resolve()) for run in runs))


def place_beside(runs: Sequence[Run], name: str, mark: bytes) -> Path:
    """Name a file next to the first run; name-2, ... if one of other runs has the name.

    Files of this kind contain the `mark` and identify_runs() of their runs.
    """
    first = path = from_here(runs[0].root.resolve().parent / name)
    number = 2
    while mark in (head := _head(path)) and identify_runs(runs).encode() not in head:
        path = first.with_stem(f"{first.stem}-{number}")
        number += 1
    return path


def _head(path):
    try:
        with open_regular(path) as file:
            return file.read(1000)
    except (FileNotFoundError, BadFile):  # none, a folder, a pipe or a device
        return b""
