"""The packages as docs/architecture.md lists them, and imports that go one way."""

import ast
import functools
import re

from helpers import REPO

PAGE = (REPO / "docs" / "architecture.md").read_text(encoding="utf-8")
# A package imports only from steps before its own; packages on one step do not know each other.
RULE = re.search(r"^`(common <- .*) <- train\.py, generate\.py`", PAGE, re.MULTILINE)[1]
STEPS = [set(packages.split(", ")) for packages in RULE.split(" <- ")]
FILES = {path.relative_to(REPO / "dcgan_tf").as_posix() for path in REPO.glob("dcgan_tf/*/**/*.py")}
ROOMS = sorted(name for name in FILES if not name.endswith("__init__.py"))


def step(package):
    return next(number for number, packages in enumerate(STEPS) if package in packages)


@functools.cache
def imports(path):
    """(module, names) of every import in a file, inside its functions as well."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [(alias.name, ()) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "written out, so that every arrow can be found by a search"
            found.append((node.module, tuple(alias.name for alias in node.names)))
    return found


def imported(name):
    """Files of the package that a file imports."""
    paths = [
        path
        for module, names in imports(REPO / "dcgan_tf" / name)
        for path in (module, *(f"{module}.{one}" for one in names))
    ]
    return {path.removeprefix("dcgan_tf.").replace(".", "/") + ".py" for path in paths} & FILES


def test_every_package_is_listed_once_and_the_files_to_read_first_exist():
    listed = re.findall(r"^\| `(\w+)/` \|", PAGE, re.MULTILINE)
    assert sorted(listed) == sorted({name.split("/")[0] for name in FILES})
    first = re.findall(r"^\| `(\S+\.py)` \|", PAGE, re.MULTILINE)
    assert len(first) == 8 and set(first) <= FILES


def test_imports_go_one_way_without_circles():
    assert [len(packages) for packages in STEPS] == [1, 3, 7, 3]
    assert imported("train/trial.py") >= {"train/devices.py", "models/parts.py"}
    assert "common/pretrained.py" in imported("generate/command.py")
    left = {name: imported(name) for name in FILES}
    for name in ROOMS:
        package = name.split("/")[0]
        for other in left[name]:
            theirs = other.split("/")[0]
            assert theirs == package or step(theirs) < step(package), (name, other)
    while free := {name for name, needs in left.items() if not needs & left.keys()}:
        left = {name: needs for name, needs in left.items() if name not in free}
    assert not left


WITH_NUMPY = {"common/checkpoints.py", "common/images.py", "common/labels.py"}


def test_the_foundation_and_the_flags_start_without_tensorflow():
    at_once = [name for name in ROOMS if name.startswith("common/") or name.endswith("command.py")]
    for name in at_once:
        text = (REPO / "dcgan_tf" / name).read_text(encoding="utf-8")
        at_the_top = set(re.findall(r"^(?:import|from) (\w+)", text, re.MULTILINE))
        assert not {"tensorflow", "keras"} & at_the_top, name
        assert ("numpy" in at_the_top) == (name in WITH_NUMPY), name


@functools.cache
def names_in(path):
    """Every name that a module binds at its top, conditional ones as well."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = {name for _, imported in imports(path) for name in imported}
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
    return names


def test_every_import_finds_its_name_inside_functions_as_well():
    scripts = [
        path for folder in ("dcgan_tf", "tests", "docs") for path in REPO.glob(f"{folder}/**/*.py")
    ]
    for path in scripts:
        for module, names in imports(path):
            target = REPO / module.replace(".", "/")
            for name in names if module.startswith("dcgan_tf.") else ():
                here = (target / f"{name}.py").is_file() or (target / name).is_dir()
                assert here or name in names_in(target.with_suffix(".py")), (path, name)
