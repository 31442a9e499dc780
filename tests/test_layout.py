"""The packages as docs/architecture.md lists them, and imports that go one way."""

import ast
import functools
import re

import pytest
from helpers import REPO

PAGE = (REPO / "docs" / "architecture.md").read_text(encoding="utf-8")
# A package imports only from steps before its own; packages on one step do not know each other.
RULE = re.search(r"^`(common <- .*) <- train\.py, generate\.py`", PAGE, re.MULTILINE)[1]
STEPS = [set(packages.split(", ")) for packages in RULE.split(" <- ")]
FILES = {path.relative_to(REPO / "dcgan_tf").as_posix() for path in REPO.glob("dcgan_tf/*/**/*.py")}
ROOMS = sorted(name for name in FILES if not name.endswith("__init__.py"))


def step(package):
    return next(number for number, packages in enumerate(STEPS) if package in packages)


def imported(name):
    """Files of the package that a file imports, inside its functions as well."""
    found = set()
    for node in ast.walk(ast.parse((REPO / "dcgan_tf" / name).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            paths = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "written out, so that every arrow can be found by a search"
            paths = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        else:
            continue
        found |= {path.removeprefix("dcgan_tf.").replace(".", "/") + ".py" for path in paths}
    return found & FILES


def test_every_package_is_listed_once_and_the_files_to_read_first_exist():
    listed = re.findall(r"^\| `(\w+)/` \|", PAGE, re.MULTILINE)
    assert sorted(listed) == sorted({name.split("/")[0] for name in FILES})
    first = re.findall(r"^\| `(\S+\.py)` \|", PAGE, re.MULTILINE)
    assert len(first) == 8 and set(first) <= FILES


@pytest.mark.parametrize("name", ROOMS)
def test_imports_go_one_way(name):
    package = name.split("/")[0]
    for other in imported(name):
        theirs = other.split("/")[0]
        assert theirs == package or step(theirs) < step(package), other


def test_no_circles():
    left = {name: imported(name) for name in FILES}
    while free := {name for name, needs in left.items() if not needs & left.keys()}:
        left = {name: needs for name, needs in left.items() if name not in free}
    assert not left


AT_ONCE = [name for name in ROOMS if name.startswith("common/") or name.endswith("command.py")]
WITH_NUMPY = {"common/checkpoints.py", "common/images.py"}


@pytest.mark.parametrize("name", AT_ONCE)
def test_the_foundation_and_the_flags_start_without_tensorflow(name):
    text = (REPO / "dcgan_tf" / name).read_text(encoding="utf-8")
    at_the_top = set(re.findall(r"^(?:import|from) (\w+)", text, re.MULTILINE))
    assert not {"tensorflow", "keras"} & at_the_top
    assert ("numpy" in at_the_top) == (name in WITH_NUMPY)


def test_the_imports_are_seen():
    assert [len(packages) for packages in STEPS] == [1, 3, 7, 3]
    assert imported("train/dry_run.py") >= {"train/devices.py", "models/parts.py"}
    assert "common/pretrained.py" in imported("generate/command.py")


@functools.cache
def names_in(path):
    """Every name that a module binds at its top, conditional ones as well."""
    tree, names = ast.parse(path.read_text(encoding="utf-8")), set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names |= {(alias.asname or alias.name) for alias in node.names}
    return names


SCRIPTS = [*REPO.glob("dcgan_tf/**/*.py"), *REPO.glob("tests/**/*.py"), *REPO.glob("docs/*.py")]


def test_every_import_finds_its_name_inside_functions_as_well():
    for path in SCRIPTS:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            module = getattr(node, "module", None) or ""
            if not isinstance(node, ast.ImportFrom) or not module.startswith("dcgan_tf."):
                continue
            target = REPO / module.replace(".", "/")
            for alias in node.names:
                here = (target / f"{alias.name}.py").is_file() or (target / alias.name).is_dir()
                assert here or alias.name in names_in(target.with_suffix(".py")), (path, alias.name)
