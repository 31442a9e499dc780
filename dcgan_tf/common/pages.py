"""HTML pages in one file: template, inlined data and scripts, content security policy."""

import base64
import hashlib
import html
import json
import re
from pathlib import Path

from dcgan_tf.common.errors import UserError
from dcgan_tf.common.foreign import BadFile, open_regular

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
    """Write JSON that can neither end the script element around it nor begin another."""
    text = json.dumps(data, allow_nan=False, separators=(",", ":"))
    return re.sub("[<>&]", lambda match: f"\\u{ord(match[0]):04x}", text)


def policy_hash(text: str) -> str:
    """Hash a style or a script as a Content-Security-Policy names it."""
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def check_place(out: Path, kind: str, flag: str, mark: bytes = b""):
    """Raise UserError for a folder, a missing parent folder, or a file of another kind.

    Args:
        kind: of the page, as its template names it: "report" or "explorer"; or of another file.
        flag: the flag that names the file.
        mark: bytes that the first 1,000 of such a file contain; by default those of a page.
    """
    flag = f"{flag} {out}"
    if out.is_dir():
        raise UserError("a folder; expected the name of a file", flag=flag)
    if not out.parent.is_dir():
        raise UserError(f"there is no folder {out.parent}; make it, or name another", flag=flag)
    mark = mark or f'<meta name="generator" content="dcgan_tf {kind}">'.encode()
    try:
        with open_regular(out) as file:
            ours = mark in file.read(1000)
    except FileNotFoundError:
        return
    except BadFile:  # a pipe or a device
        ours = False
    if not ours:
        raise UserError(f"a file that is no {kind}; move it away, or name another", flag=flag)
