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
    """A template with each {{name}} replaced, in UTF-8; what a part holds is not looked into."""
    return re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], template).encode()


def render(
    folder: Path, title: str, styles: list[str], scripts: list[str], data, **more: str
) -> bytes:
    """A folder's template.html with its styles, scripts and data inside; `more` fills the rest."""

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
    """JSON that stands in a script element: nothing in it can end the element or begin another."""
    text = json.dumps(data, allow_nan=False, separators=(",", ":"))
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def policy_hash(text: str) -> str:
    """What a Content-Security-Policy names a style or a script by."""
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def check_place(out: Path, kind: str, flag: str):
    """Refuse a place where a page cannot be written without loss of somebody's file.

    Args:
        out: the file; kind: of the page, as its template names it: "report" or "explorer";
            flag: what names the file.

    Raises:
        UserError: a folder, no folder around it, or a file that is no such page.
    """
    if out.is_dir():
        raise UserError(f"{out}: a folder; expected the name of a file, such as {out}/{kind}.html")
    if not out.parent.is_dir():
        raise UserError(f"{out}: there is no folder {out.parent}; make it, or name another file")
    if out.exists() and not _is_page(out, kind):
        raise UserError(
            f"{out}: a file that is no {kind}; move it away or name another with {flag}"
        )


def _is_page(path, kind):
    try:
        with open_regular(path) as file:
            return f'<meta name="generator" content="dcgan_tf {kind}">'.encode() in file.read(1000)
    except BadFile:
        return False
