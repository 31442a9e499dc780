"""A module imports only from modules above it."""

import ast

import pytest
from helpers import REPO

# From the top down. A new module gets its place here.
ORDER = [
    *("errors", "config", "flags", "runs", "images", "drawing", "sources", "pack", "pipeline"),
    *("noise", "losses", "networks", "sampling", "gan", "checkpoints", "devices", "signals"),
    *("frechet", "metrics", "inception_weights", "inception", "protocol", "reals", "features"),
    *(
        "scores",
        "health",
        "scoring",
        "artefacts",
        "callbacks",
        "plan",
        "training",
        "generate_flags",
    ),
    *("generation", "quiet", "scoreboard", "evaluation", "memorisation", "evaluate"),
]
MODULES = {path.stem: path for path in (REPO / "dcgan_tf").glob("*.py") if path.stem != "__init__"}


def imports(path):
    """The modules of the package that a file imports, inside its functions as well."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            package = "dcgan_tf" if node.level else node.module
            names = [package, *(f"{package}.{alias.name}" for alias in node.names)]
        else:
            continue
        parts = [name.split(".") for name in names]
        found |= {part[1] for part in parts if part[0] == "dcgan_tf" and len(part) > 1}
    return found & set(MODULES)


def test_every_module_has_its_place():
    assert set(MODULES) == set(ORDER)


@pytest.mark.parametrize("module", ORDER)
def test_imports_only_from_above(module):
    below = ORDER[ORDER.index(module) :]
    assert not imports(MODULES[module]) & set(below)


def test_nothing_in_the_package_imports_the_commands():
    for path in MODULES.values():
        assert not {"train", "generate"} & {
            alias.name
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.Import)
            for alias in node.names
        }


def test_the_imports_are_seen():
    assert imports(MODULES["plan"]) >= {"devices", "networks", "config"}
    assert imports(MODULES["generation"]) >= {"runs", "sampling"}
