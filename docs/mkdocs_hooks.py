"""Pages of the site that are made from other files: start page, settings, API, linked files.

MkDocs runs these hooks (`hooks:` in mkdocs.yml). Nothing here imports TensorFlow.
"""

import json
import os
import re
import sys
from pathlib import Path
from posixpath import dirname, join, normpath, relpath

from mkdocs.structure.files import File

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import dcgan_tf  # noqa: E402
from dcgan_tf.common.config import FIELDS, groups  # noqa: E402
from dcgan_tf.common.config_file import find_config, read_config  # noqa: E402

LINK = re.compile(r"(\]\()([^)\s:#]+)(?=[)#])")  # in Markdown, to a file
_origins = {}  # of pages that are not in docs/: address on the site, path in the repository


def on_files(files, config):
    """Add the pages made from the code, and each file outside docs/ that a page links to."""
    files.append(File.generated(config, "settings.md", content=_settings()))
    files.append(File.generated(config, "api.md", content=_api()))
    waiting = ["README.md", *(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))]
    while waiting:
        path = waiting.pop()
        address = _address(path)
        if not files.get_file_from_path(address):
            files.append(File.generated(config, address, content=(ROOT / path).read_bytes()))
            _origins[address] = path
        if path.endswith(".md"):
            linked = {_resolve(path, link) for _, link in LINK.findall((ROOT / path).read_text())}
            waiting += sorted(
                path
                for path in linked
                if (ROOT / path).is_file()  # a missing one fails later as a broken link
                and not files.get_file_from_path(_address(path))
            )
    return files


def on_page_markdown(markdown, page, config, files):
    """Turn links between files of the repository into links between pages of the site."""
    here = page.file.src_uri
    path = _origins.get(here, f"docs/{here}")

    def turn(link):
        return link[1] + relpath(_address(_resolve(path, link[2])), dirname(here) or ".")

    return LINK.sub(turn, markdown)


def on_page_content(html, page, config, files):
    """Link the explorer from the start page of a site that will have it."""
    if os.environ.get("EXPLORER") and page.file.src_uri == "index.md":
        words = "Explore the bundled generator in your browser"
        return f'<p><a href="explorer.html">{words}</a> (15 MB; no image leaves it).</p>{html}'
    return html


def _resolve(path, link):
    return normpath(join(dirname(path), link))


def _address(path):
    """Where the site has a file of the repository."""
    if path == "README.md":
        return "index.md"
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    return "files/" + path.removeprefix(".")  # MkDocs leaves out names that begin with a dot


def _settings():
    lines = [
        "# Settings",
        "",
        "A setting is a key of a recipe's TOML file, a flag of `train.py` (`g_channels` is",
        "`--g-channels`; `flip` is `--flip` or `--no-flip`) and a field of `dcgan_tf.Config`.",
        "The defaults are those of the reference recipe `celeba`.",
    ]
    recipe = read_config(find_config("celeba"))
    for heading, names in groups().items():
        lines += ["", f"## {heading}", ""]
        lines += ["| setting | default | meaning | allowed |", "|---|---|---|---|"]
        for name in names:
            meaning = FIELDS[name].metadata["help"].replace("|", "\\|")
            default = json.dumps(getattr(recipe, name))  # as TOML writes it
            lines.append(f"| `{name}` | `{default}` | {meaning} | {_allowed(FIELDS[name])} |")
    return "\n".join(lines) + "\n"


def _allowed(field):
    spec = field.metadata
    if spec["choices"]:
        own = ", `module:Name` of your own" if spec["own"] else ""
        return ", ".join(f"`{choice}`" for choice in spec["choices"]) + own
    if field.type is bool:
        return "`true`, `false`"
    if field.type is str:
        return "text"
    low, high = (f"{spec[key]:,}" for key in ("low", "high"))
    return f"{'above' if spec['above'] else 'from'} {low} to {high}"


def _api():
    lines = ["# API", "", "Everything here is imported from `dcgan_tf`.", ""]
    for name, module in sorted(dcgan_tf._ROOMS.items()):
        path = module if module.endswith(f".{name}") else f"{module}.{name}"
        lines += [f"::: dcgan_tf.{path}", ""]
    return "\n".join(lines)
