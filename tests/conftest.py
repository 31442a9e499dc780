"""Before any test imports TensorFlow: no greeting, and oneDNN. Helpers are in helpers.py."""

import os
import platform
import signal

import pytest

from dcgan_tf.common.log import hush

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
if platform.machine() == "x86_64":
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a shell's background job: "pytest &"
    signal.signal(signal.SIGINT, signal.default_int_handler)  # or no program would hear Ctrl-C


def pytest_collection_modifyitems(items):
    """What runs whole commands is slow, all of it; elsewhere the tests are marked one by one."""
    for item in items:
        if "end_to_end" in item.path.parts:
            item.add_marker("slow")


@pytest.fixture(autouse=True)
def silent():
    """A command that a test called speaks no longer when the test is over."""
    yield
    hush()


@pytest.fixture
def here(tmp_path, monkeypatch):
    """The current directory, new and empty."""
    monkeypatch.chdir(tmp_path)
    return tmp_path
