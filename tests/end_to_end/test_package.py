"""What `pip install .` gives: the package with its configs, and its commands, from anywhere."""

import subprocess
import sys
import zipfile

import pytest
from helpers import REPO

# What pip's scripts do: find the entry point by its name and call it.
CALL = """
import sys
from importlib.metadata import entry_points
sys.argv = sys.argv[1:]
(entry,) = entry_points(group="console_scripts", name=sys.argv[0])
entry.load()()
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder]
    subprocess.run(build, cwd=REPO, check=True, capture_output=True)
    with zipfile.ZipFile(*folder.iterdir()) as archive:
        yield archive


@pytest.fixture
def installed(wheel, here, monkeypatch):
    """An otherwise empty current directory, far from the repository, that has the wheel's files."""
    wheel.extractall(here / "site")
    monkeypatch.setenv("PYTHONPATH", str(here / "site"))
    return here


def call(*words):
    return subprocess.run([sys.executable, "-c", CALL, *words], capture_output=True, text=True)


def test_the_wheel_has_the_code_and_the_configs_and_nothing_else(wheel):
    code = {path.relative_to(REPO).as_posix() for path in REPO.glob("dcgan_tf/**/*.py")}
    configs = {f"dcgan_tf/configs/{path.name}" for path in REPO.glob("configs/*.toml")}
    other = {"dcgan_tf/py.typed", "dcgan_tf/metrics/inception_golden.json"}
    pages = REPO.glob("dcgan_tf/*/*.*")
    pages = (path for path in pages if path.suffix in (".html", ".css", ".js", ".md", ".txt"))
    other |= {path.relative_to(REPO).as_posix() for path in pages}
    faces = ("README.md", "config.toml", "directions.npz", "evaluation.jsonl")
    faces += ("generator.keras", "discriminator.keras")
    other |= {f"dcgan_tf/pretrained/faces/{name}" for name in faces}
    files = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert files == code | configs | other


def test_installed_commands_know_their_names_the_configs_and_each_other(installed):
    for command in ("dcgan-train", "dcgan-generate", "dcgan-evaluate"):
        done = call(command, "--help")
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith(f"examples:\n  {command.replace('-', ' ')} ")
        assert done.stdout == call(*command.split("-"), "--help").stdout
    done = call("dcgan-train", "--config", "nist")
    assert done.returncode == 2 and "did you mean mnist?" in done.stderr
    assert (
        "there are celeba, cifar10, cifar10-labels, demo, faces, faces-labels, laptop,"
        in done.stderr
    )
    assert "train first (dcgan train demo)" in call("dcgan-generate").stderr
    assert [path.name for path in installed.iterdir()] == ["site"]
