"""Where XLA is used, on cards that are not here, and what is said of it; oneDNN."""

import os
import platform
import re
import subprocess
import sys
import types

import pytest
from helpers import REPO, resolved, write_files

from dcgan_tf.common.errors import UserError
from dcgan_tf.models import xla
from dcgan_tf.train import devices


def card(name, *capability):
    return {"device_name": name, "compute_capability": capability}


@pytest.fixture(autouse=True)
def cudnn(monkeypatch):
    """Called with the version of cuDNN that is loaded."""

    def load(*version):
        monkeypatch.setattr(xla.cuda, "cudnn_version", lambda: version)

    load(9, 24, 0)
    return load


def why(*flags, gpus, replicas=1):
    return xla.why_no_xla(resolved(*flags), replicas, gpus)


@pytest.mark.parametrize("capability", [(7, 5), (8, 6), (9, 0)], ids=["T4", "A10", "H100"])
def test_auto_uses_xla_on_cards_with_which_it_works(capability):
    assert why(gpus=[card("a card", *capability)]) == ""


@pytest.mark.parametrize(
    ("version", "words"),
    [
        ((9, 19, 0), None),
        ((9, 18, 1), "here is 9.18.1; pip install"),
        ((9, 5, 1), "needs cuDNN 9.19 .* here is 9.5.1"),
        ((8, 9, 7), "here is 8.9.7"),
        ((), "here none is found"),
    ],
)
def test_auto_leaves_xla_off_with_a_cudnn_that_fails_or_of_which_nothing_is_known(
    version, words, cudnn
):
    cudnn(*version)
    found = why(gpus=[card("T4", 7, 5)])
    assert re.search(words, found) if words else not found
    assert why("--jit", "on", gpus=[card("T4", 7, 5)]) == ""


@pytest.mark.parametrize(
    ("replicas", "gpus", "words"),
    [
        (1, [card("Tesla V100", 7, 0)], "Tesla V100 has 7.0; --jit on"),
        (1, [card("RTX 5090", 12, 0)], "compute capabilities 7.5 to 9.x, and RTX 5090 has 12.0"),
        (1, [{"device_name": "MI300"}], "MI300 names no compute capability"),
        (1, [{}], "this GPU names no compute capability"),
        (1, [], "it halves the speed of this step on a CPU"),
        (2, [card("H100", 9, 0)] * 2, "runs on one device, and here are 2"),
    ],
)
def test_elsewhere_auto_leaves_it_off_and_says_why(replicas, gpus, words):
    assert words in why(gpus=gpus, replicas=replicas)


def test_on_and_off_are_obeyed_whatever_the_card_is():
    assert why("--jit", "on", gpus=[card("RTX 5090", 12, 0)]) == ""
    assert "--deterministic" in why("--deterministic", gpus=[card("T4", 7, 5)])
    assert why("--jit", "on", "--deterministic", gpus=[card("T4", 7, 5)]) == ""
    assert why("--jit", "off", gpus=[card("H100", 9, 0)]) == "--jit off"


def test_a_person_with_such_a_card_reads_why_and_one_without_a_gpu_nothing(monkeypatch, caplog):
    caplog.set_level("INFO")
    one, two = (types.SimpleNamespace(num_replicas_in_sync=n) for n in (1, 2))
    assert not xla.use_jit(resolved(), one)
    assert not caplog.messages
    monkeypatch.setattr(xla, "gpu_details", lambda: [card("RTX 5090", 12, 0)])
    assert not xla.use_jit(resolved(), one)
    assert len(caplog.messages) == 1 and "RTX 5090 has 12.0" in caplog.text
    assert xla.use_jit(resolved("--jit", "on"), one)
    with pytest.raises(UserError, match="jit on with 2 devices: an XLA"):
        xla.use_jit(resolved("--jit", "on"), two)
    assert not xla.use_jit(resolved("--jit", "off"), one)
    assert len(caplog.messages) == 1


def in_a_new_process(code, cwd, **env):
    """What `python -c CODE` prints; of our own settings of TensorFlow it has only `env`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TF_")}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=cwd,
        env=kept | {"PYTHONPATH": f"{cwd}{os.pathsep}{REPO}"} | env,
        capture_output=True,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


# In the place of the real one: its import is the moment at which the setting must be there.
STUB = b"import os, sys; print(os.environ.get('TF_ENABLE_ONEDNN_OPTS')); sys.exit()"


@pytest.mark.parametrize(
    ("machine", "own", "expected"),
    [
        *(("x86_64", None, "1"), ("AMD64", None, "1"), ("x86_64", "0", "0")),
        *(("arm64", None, "None"), ("aarch64", "1", "1")),
    ],
)
def test_onednn_is_asked_for_on_x86_and_a_user_s_own_setting_stays(
    machine, own, expected, tmp_path
):
    write_files(tmp_path, {"tensorflow.py": STUB})
    code = (
        f"import platform; platform.machine = lambda: {machine!r}\n"
        "from dcgan_tf.common.start_tensorflow import start_tensorflow\n"
        "start_tensorflow()\n"
    )
    env = {} if own is None else {"TF_ENABLE_ONEDNN_OPTS": own}
    assert in_a_new_process(code, tmp_path, **env) == expected


@pytest.mark.slow
@pytest.mark.skipif(platform.machine() != "x86_64", reason="oneDNN is TensorFlow's choice on x86")
def test_what_is_recorded_of_onednn_is_what_a_convolution_meets(tmp_path):
    assert devices.uses_onednn()  # conftest.py asks for it as the commands do
    code = (
        "import tensorflow as tf\n"
        "from dcgan_tf.train.devices import computing\n"
        "found = computing(tf.distribute.get_strategy())\n"
        "print(found['onednn'], found['intra_op_threads'], found['inter_op_threads'])\n"
    )
    env = {"TF_ENABLE_ONEDNN_OPTS": "0", "TF_NUM_INTRAOP_THREADS": "1"}
    said = in_a_new_process(code, tmp_path, TF_NUM_INTEROP_THREADS="3", **env)
    assert said == "False 1 3"
