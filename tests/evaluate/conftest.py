"""A run to evaluate, and a small network in place of Inception."""

import shutil

import pytest
from helpers import SMALL_AT_64, faces_zip, train
from tiny_inception import TinyInception

from dcgan_tf.evaluate import scorer


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """A folder with faces.zip (72 drawn faces) and a run on 24 of them in runs/a."""
    cwd = tmp_path_factory.mktemp("trained")
    faces_zip(cwd, 72)
    flags = [*SMALL_AT_64, "--batch-size", "8", "--sample-count", "4", "--epochs", "1"]
    done = train("--data", "faces.zip", "--subset", 24, *flags, "--run", "runs/a", cwd=cwd)
    assert done.returncode == 0, done.stderr
    return cwd


@pytest.fixture
def there(trained, tmp_path, monkeypatch):
    """A copy of `trained` as the current directory."""
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def tiny(monkeypatch):
    """The network that every evaluation of this test gets."""
    network = TinyInception()
    monkeypatch.setattr(scorer, "load_inception", lambda path: network)
    return network
