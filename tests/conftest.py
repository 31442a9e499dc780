"""Before any test imports TensorFlow: no greeting, and oneDNN. Helpers are in helpers.py."""

import os
import platform
import signal
import sys

import pytest

from dcgan_tf.common.log import hush

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
if platform.machine() == "x86_64":
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # its threads spin: ten times as slow under load

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a shell's background job: "pytest &"
    signal.signal(signal.SIGINT, signal.default_int_handler)  # or no program would hear Ctrl-C


SLOW_FIXTURES = {
    *("finished", "trained", "whole", "fitted"),  # trainings
    *("graph_def", "without_onnx"),  # Inception, folders for a hub
}


@pytest.hookimpl(tryfirst=True)  # before -m selects by the marks
def pytest_collection_modifyitems(items):
    """Mark as slow: nightly tests, whole commands, and users of the fixtures above.

    The commands begin first, as the longest.
    """
    for item in items:
        nightly, whole = item.get_closest_marker("nightly"), "end_to_end" in item.path.parts
        if nightly or whole or SLOW_FIXTURES & set(item.fixturenames):
            item.add_marker("slow")
    items.sort(key=lambda item: "end_to_end" not in item.path.parts)


@pytest.fixture(autouse=True)
def seeded():
    """Initial weights are the same in every run. Unseeded, a tolerance holds most of the time."""
    if keras := sys.modules.get("keras"):
        keras.utils.set_random_seed(int(os.environ.get("DCGAN_TEST_SEED", "0")))


@pytest.fixture(autouse=True)
def silent():
    """Take away the log handlers of a command that a test called."""
    yield
    hush()


@pytest.fixture
def here(tmp_path, monkeypatch):
    """The current directory, new and empty."""
    monkeypatch.chdir(tmp_path)
    return tmp_path
