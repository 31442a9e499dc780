"""HTML pages in one file: template, inlined data and scripts, content security policy."""

import base64
import hashlib
import html
import json
import re
from pathlib import Path

from dcgan_tf.common.errors import UserError
from dcgan_tf.common.foreign import BadFile, open_regular

LOOK = (Path(__file__).parent / "look.css").read_text(encoding="utf-8")  # what all pages share


def fill(template: str, parts: dict[str, str]) -> bytes:
    """Replace each {{name}} of a template, once, and encode it in UTF-8."""
    return re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], template).encode()


def render(
    folder: Path, title: str, styles: list[str], scripts: list[str], data, **more: str
) -> bytes:
    """Fill a folder's template.html with its styles, scripts, data and `more`."""

    def read(name):
        return (folder / name).read_text(encoding="utf-8")

    style, script = LOOK + "".join(map(read, styles)), "".join(map(read, scripts))
    parts = {
        "title": html.escape(title),
        "style": style,
        "style_hash": policy_hash(style),
        "script": script,
        "script_hash": policy_hash(script),
        "data": as_script_data(data),
    }
    return fill(read("template.html"), parts | more)


def as_script_data(data) -> str:
    """Write JSON for a script element, in which nothing can end it or begin another."""
    text = json.dumps(data, allow_nan=False, separators=(",", ":"))
    return re.sub("[<>&]", lambda match: f"\\u{ord(match[0]):04x}", text)


def policy_hash(text: str) -> str:
    """Hash a style or a script as a Content-Security-Policy names it."""
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def check_place(out: Path, kind: str, flag: str, mark: bytes = b""):
    """Refuse a place where a file cannot be written without the loss of another one.

    Args:
        kind: of the page, as its template names it: "report" or "explorer"; or of another file.
        flag: the flag that names the file.
        mark: what the first 1,000 bytes of such a file hold, if it is no page.

    Raises:
        UserError: a folder, no folder around it, or a file that is no such page.
    """
    flag = f"{flag} {out}"
    if out.is_dir():
        raise UserError("a folder; expected the name of a file", flag=flag)
    if not out.parent.is_dir():
        raise UserError(f"there is no folder {out.parent}; make it, or name another", flag=flag)
    try:
        with open_regular(out) as file:
            mark = mark or f'<meta name="generator" content="dcgan_tf {kind}">'.encode()
            ours = mark in file.read(1000)
    except FileNotFoundError:
        return
    except BadFile:  # a pipe or a device
        ours = False
    if not ours:
        words = f"a file that is no {kind}; move it away or name another with {flag.split()[0]}"
        raise UserError(words, flag=flag)
