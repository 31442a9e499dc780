"""The notebooks of docs/, and the files for other places: whole, true to the program, and run."""

import ast
import functools
import importlib
import json
import os
import re
import shutil
import struct
import subprocess
import sys
import tomllib

import numpy as np
import pytest
from helpers import REPO, faces_zip, write_files
from programs import run_program

DOCS = REPO / "docs"
NOTEBOOKS = sorted(DOCS.glob("*.ipynb"))
TEXTS = [*NOTEBOOKS, DOCS / "places.md"]
WITHOUT_OUTPUTS = {"colab", "kaggle"}  # they are made on machines of others
PROGRAM = r"(train\.py|generate\.py|-m dcgan_tf\.\w+|dcgan (?:train|generate|check))\b"
FLAG = r"(?<![\w-])--[a-z][\w-]*"
by_name = {"ids": lambda path: path.stem}


def cells(path, kind):
    """The texts of a notebook's cells of one kind; a page is one cell of markdown."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".md":
        return [text] if kind == "markdown" else []
    return ["".join(c["source"]) for c in json.loads(text)["cells"] if c["cell_type"] == kind]


def as_python(source):
    """A cell as plain Python: `!tar {name}` calls `shell` with what a shell would be given."""
    return re.sub(r"^( *)!(.*)$", lambda m: f"{m[1]}shell(f{m[2]!r})", source, flags=re.MULTILINE)


@functools.cache
def flags_of(program):
    """set[str]: the flags that a command's own help names."""
    program = program.replace("dcgan ", "-m dcgan_tf ")
    done = run_program((*program.split(), "--help"), REPO)
    assert done.returncode == 0, done.stderr
    return set(re.findall(FLAG, done.stdout))


def commands(text):
    """(program, the rest of its line) of each command of ours in a text."""
    text = re.sub(r'[",(]+', " ", text)  # dcgan("train", "demo", "--run", RUN)
    text = re.sub(r"DCGAN_SETTINGS", "train.py", text)  # where the notebooks keep its flags
    return re.findall(rf"{PROGRAM}([^\n`|#]*)", text)


@pytest.mark.parametrize("path", NOTEBOOKS, **by_name)
def test_a_notebook_is_whole_and_its_code_imports_what_is_there(path):
    text = path.read_text(encoding="utf-8")
    notebook = json.loads(text)
    assert text.endswith("}\n") and len(text) < 2e6
    assert (notebook["nbformat"], notebook["metadata"]["kernelspec"]["name"]) == (4, "python3")
    assert len({cell["id"] for cell in notebook["cells"]}) == len(notebook["cells"])
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    counts = [cell["execution_count"] for cell in code]
    outputs = [output for cell in code for output in cell["outputs"]]
    if path.stem in WITHOUT_OUTPUTS:
        assert set(counts) == {None} and not outputs
    else:  # those of one run from top to bottom
        assert counts == list(range(1, len(code) + 1))
        assert {output["output_type"] for output in outputs} == {"stream", "display_data"}
        assert not [output for output in outputs if output.get("name") == "stderr"]
        assert "/tmp/" not in json.dumps(outputs) and "/home/" not in json.dumps(outputs)
    for source in cells(path, "code"):
        for node in ast.walk(ast.parse(as_python(source))):
            if isinstance(node, ast.ImportFrom) and node.module.startswith("dcgan_tf"):
                module = importlib.import_module(node.module)
                assert all(hasattr(module, alias.name) for alias in node.names)


@pytest.mark.slow
@pytest.mark.parametrize("path", TEXTS, **by_name)
def test_commands_links_and_paths_name_what_is_there(path):
    text = "\n".join(cells(path, "markdown"))
    for link in re.findall(r"\]\(([^)#]+)[^)]*\)", text):
        assert link.startswith("https://") or (DOCS / link).exists(), link
    for name in re.findall(r"`((?:dcgan_tf|docs|configs|tests|\.devcontainer)/[\w./-]+)`", text):
        assert (REPO / name).exists(), name
    found = [command for each in (*cells(path, "code"), text) for command in commands(each)]
    assert found
    for program, rest in found:
        assert set(re.findall(FLAG, rest)) <= flags_of(program), (program, rest)
        for name in re.findall(r"--config (\w+)", rest):
            assert (REPO / "configs" / f"{name}.toml").is_file()
    ours = set().union(*map(flags_of, ("train.py", "generate.py", "-m dcgan_tf.evaluate")))
    for flag in re.findall(rf"`({FLAG})[^`]*`", text):
        assert flag in ours | {"--user", "--build-arg"}  # two of Docker's


# Runs from top to bottom, without Jupyter: `!` is a shell, IPython's displays are kept.


IPYTHON = """
class Shown:
    def __init__(self, data=None, **named):
        self.data = data

HTML = Image = Shown

def display(shown):
    print("displayed", len(shown.data))
"""
RUNNER = '''
import ast, json, subprocess, sys

sys.path.insert(0, sys.argv[2])  # for this process alone: the commands have IPython or none
repo, cells = json.load(open(sys.argv[1]))

def shell(line):
    """Run a line, or stop; its clone has what is not committed yet, and nothing is installed."""
    print("$", line, flush=True)
    if line.startswith("git clone"):
        line = f"mkdir dcgan_tf; cd {repo}; cp -R dcgan_tf configs *.py $OLDPWD/dcgan_tf"
    if " pip install " not in line:
        subprocess.run(line, shell=True, check=True)

def display(value):
    if hasattr(value, "data"):
        print("displayed", len(value.data))

names = {"shell": shell, "_display": display}
for cell in cells:
    tree = ast.parse(cell)
    if isinstance(tree.body[-1], ast.Expr):  # its value is shown, as Jupyter does it
        tree.body[-1].value = ast.Call(ast.Name("_display", ast.Load()), [tree.body[-1].value], [])
    exec(compile(ast.fix_missing_locations(tree), "cell", "exec"), names)
'''


def run_notebook(name, cwd, **env):
    """What all cells of a notebook print, run in a folder outside of the project."""
    init = b"version_info = 9, 0\nget_ipython = lambda: None\n"  # which matplotlib asks
    write_files(cwd / "stand_in/IPython", {"__init__.py": init, "display.py": IPYTHON.encode()})
    code = [as_python(source) for source in cells(DOCS / f"{name}.ipynb", "code")]
    (cwd / "cells.json").write_text(json.dumps([str(REPO), code]))
    (cwd / "runner.py").write_text(RUNNER)
    path = os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]])
    done = subprocess.run(
        [sys.executable, "runner.py", "cells.json", str(cwd / "stand_in")],
        cwd=cwd,
        env=os.environ | {"MPLBACKEND": "agg", "PATH": path} | env,
        capture_output=True,
        encoding="utf-8",
        timeout=600,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


on_linux = pytest.mark.skipif(os.name == "nt", reason="the notebooks are for Linux: tar, cp")
TINY = "--config faces --subset 16 --epochs 1 --width 0.02 --sample-count 4 --precision float32"


@pytest.mark.nightly
@on_linux
def test_the_notebook_for_colab_runs_and_kaggle_s_differs_only_in_where_things_lie(tmp_path):
    colab, kaggle = (cells(DOCS / f"{name}.ipynb", "code") for name in ("colab", "kaggle"))
    other = [i for i, (a, b) in enumerate(zip(colab, kaggle, strict=True)) if a != b]
    assert other == [0, 2, len(colab) - 1]  # the settings, the GPU's menu, the archive
    archive = faces_zip(tmp_path, 16)
    env = {"DCGAN_REPOSITORY": "https://example.org/dcgan_tf", "DCGAN_DATA": str(archive)}
    said = run_notebook("colab", tmp_path, **env, DCGAN_SETTINGS=TINY)
    assert "git clone --quiet --depth 1 https://example.org/dcgan_tf dcgan_tf" in said
    assert "pip install --quiet --disable-pip-version-check ." in said
    assert "report: runs/faces/report.html" in said
    page, grid = (int(count) for count in re.findall(r"displayed (\d+)", said))
    assert page > 50_000 and grid
    run = tmp_path / "dcgan_tf/runs/faces"
    assert len(list((run / "pictures/images").glob("*.png"))) == 64
    assert (tmp_path / "dcgan_tf/faces.tgz").stat().st_size > 10_000


@pytest.mark.nightly
@on_linux
def test_the_notebook_for_colab_runs_with_an_uploaded_wheel(tmp_path):
    wheel = tmp_path / "dcgan_tf-0.1.0-py3-none-any.whl"
    env = {"DCGAN_REPOSITORY": wheel.name, "DCGAN_DATA": str(faces_zip(tmp_path, 16))}
    said = run_notebook("colab", tmp_path, **env, DCGAN_SETTINGS=TINY, PYTHONPATH=str(REPO))
    assert "git clone" not in said and f"--disable-pip-version-check {wheel}" in said
    assert len(list((tmp_path / "runs/faces/pictures/images").glob("*.png"))) == 64


@pytest.mark.nightly
def test_the_tutorial_runs_on_a_few_digits(tmp_path):
    noise = np.random.RandomState(0).randint(0, 256, (64, 28, 28), np.uint8)
    digits = struct.pack(">4i", 2051, *noise.shape) + noise.tobytes()
    write_files(tmp_path / "mnist", {"t10k-images-idx3-ubyte": digits})
    (tmp_path / "train.py").touch()  # the notebook takes this for the project's root
    env = {"DCGAN_MNIST": str(tmp_path / "mnist"), "DCGAN_LIMIT": "64"}
    said = run_notebook("tutorial", tmp_path, **env, PYTHONPATH=str(REPO))
    first, second = re.findall(r"G (?:has )?([\d,]+\d).* D ([\d,]+\d)", said)
    assert first == second  # plain Keras and the package build the same two networks
    assert said.count("displayed") == 17


# Other places


def test_the_image_and_the_dev_container_are_built_from_what_is_there():
    text = (REPO / "Dockerfile").read_text(encoding="utf-8")
    copied = re.search(r"^COPY (requirements.*) \./$", text, re.MULTILINE)[1].split()
    assert sorted(copied) == ["requirements-gpu.txt", "requirements.txt"]
    assert all((REPO / name).is_file() for name in copied)
    assert re.search(r"^FROM python:3\.1[123]-slim$", text, re.MULTILINE)
    assert text.index("USER dcgan") < text.index("CMD")
    scripts = tomllib.loads((REPO / "pyproject.toml").read_text())["project"]["scripts"]
    assert json.loads(re.search(r"^CMD (.*)$", text, re.MULTILINE)[1])[0] in scripts
    settings = json.loads((REPO / ".devcontainer/devcontainer.json").read_text())
    target = settings["postCreateCommand"].removeprefix("make ")
    assert f"\n{target}:" in (REPO / "Makefile").read_text()


def test_requirements_for_gpus_have_the_pinned_tensorflow_and_a_cudnn_that_works():
    pinned = re.search(r"^tensorflow==(.*)$", (REPO / "requirements.txt").read_text(), re.MULTILINE)
    text = (REPO / "requirements-gpu.txt").read_text()
    lines = [line.partition(" #")[0].strip() for line in text.splitlines() if line[0] != "#"]
    marker = '; platform_machine == "x86_64"'  # wheels for aarch64 have no CUDA
    cudnn = lines.pop().removeprefix("nvidia-cudnn-cu12==").removesuffix(marker)
    assert lines == ["-r requirements.txt", f"tensorflow[and-cuda]=={pinned[1]}{marker}"]
    assert tuple(map(int, cudnn.split(".")[:2])) >= (9, 24)


@pytest.mark.nightly
@pytest.mark.parametrize(("machine", "has_cuda"), [("x86_64", True), ("aarch64", False)])
def test_requirements_for_gpus_can_be_installed(machine, has_cuda):
    uv = shutil.which("uv")
    if not uv:
        pytest.skip("needs uv: pip install uv")
    platform = ("--python-platform", f"{machine}-manylinux_2_28", "--python-version", "3.12")
    command = [uv, "pip", "compile", "requirements-gpu.txt", "--quiet", *platform]
    done = subprocess.run(command, cwd=REPO, capture_output=True, text=True, timeout=300)
    if done.returncode and "No solution found" not in done.stderr:
        pytest.skip(f"no package index: {done.stderr[-200:]}")
    assert done.returncode == 0, done.stderr
    found = set(re.findall(r"^([\w-]+)==", done.stdout, re.MULTILINE))
    assert {"tensorflow", "keras"} <= found
    assert has_cuda == any(name.startswith("nvidia-") for name in found)
