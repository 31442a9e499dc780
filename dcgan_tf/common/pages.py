"""HTML pages in one file: a template with its parts, data that stays data, the policy's hashes."""

import base64
import hashlib
import json
import re
from pathlib import Path

LOOK = (Path(__file__).parent / "look.css").read_text(encoding="utf-8")  # what all pages share


def fill(template: str, parts: dict[str, str]) -> bytes:
    """A template with each {{name}} replaced, in UTF-8; what a part holds is not looked into."""
    return re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], template).encode()


def as_script_data(data) -> str:
    """JSON that stands in a script element: nothing in it can end the element or begin another."""
    text = json.dumps(data, allow_nan=False, separators=(",", ":"))
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def policy_hash(text: str) -> str:
    """What a Content-Security-Policy names a style or a script by."""
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
