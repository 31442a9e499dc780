"""Where XLA is used, on cards that are not here, and what is said of it; oneDNN."""

import os
import platform
import re
import subprocess
import sys
import types

import pytest
import tensorflow as tf
from helpers import REPO, resolved, write_files

from dcgan_tf.common.errors import UserError
from dcgan_tf.models import xla
from dcgan_tf.train import devices


def card(name, *capability):
    return {"device_name": name, "compute_capability": capability}


T4, V100, H100 = card("T4", 7, 5), card("Tesla V100", 7, 0), card("H100", 9, 0)
RTX = card("RTX 5090", 12, 0)
GOOD = 9, 24, 0


@pytest.mark.parametrize(
    ("flags", "gpus", "cudnn", "words"),
    [
        ("", [T4], GOOD, ""),
        ("", [card("A10", 8, 6)], GOOD, ""),
        ("", [H100], GOOD, ""),
        # A cuDNN that fails, or of which nothing is known.
        ("", [T4], (9, 19, 0), ""),
        ("", [T4], (9, 18, 1), "here is 9.18.1; pip install"),
        ("", [T4], (9, 5, 1), "needs cuDNN 9.19 .* here is 9.5.1"),
        ("", [T4], (8, 9, 7), "here is 8.9.7"),
        ("", [T4], (), "here none is found"),
        ("--jit on", [T4], (), ""),
        # Cards and places.
        ("", [V100], GOOD, "Tesla V100 has 7.0; --jit on"),
        ("", [RTX], GOOD, "compute capabilities 7.5 to 9.x, and RTX 5090 has 12.0"),
        ("", [{"device_name": "MI300"}], GOOD, "MI300 names no compute capability"),
        ("", [{}], GOOD, "this GPU names no compute capability"),
        ("", [], GOOD, "it halves the speed of this step on a CPU"),
        ("", [H100] * 2, GOOD, "runs on one device, and here are 2"),
        # What is asked for.
        ("--jit on", [RTX], GOOD, ""),
        ("--deterministic", [T4], GOOD, "--deterministic"),
        ("--jit on --deterministic", [T4], GOOD, ""),
        ("--jit off", [H100], GOOD, "^--jit off$"),
    ],
)
def test_xla_is_used_where_it_works_and_else_a_reason_is_given(
    flags, gpus, cudnn, words, monkeypatch
):
    monkeypatch.setattr(xla.cuda, "cudnn_version", lambda: cudnn)
    found = xla.why_no_xla(resolved(*flags.split()), max(len(gpus), 1), gpus)
    assert re.search(words, found) if words else not found


def test_a_person_with_such_a_card_reads_why_and_one_without_a_gpu_nothing(monkeypatch, caplog):
    caplog.set_level("INFO")
    one, two = (types.SimpleNamespace(num_replicas_in_sync=n) for n in (1, 2))
    assert not xla.use_jit(resolved(), one)
    assert not caplog.messages
    monkeypatch.setattr(xla, "gpu_details", lambda: [RTX])
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


def test_onednn_is_asked_for_on_x86_and_a_user_s_own_setting_stays(tmp_path):
    write_files(tmp_path, {"tensorflow.py": STUB})
    for machine, own, expected in (
        ("x86_64", {}, "1"),
        ("AMD64", {}, "1"),
        ("x86_64", {"TF_ENABLE_ONEDNN_OPTS": "0"}, "0"),
        ("arm64", {}, "None"),
        ("aarch64", {"TF_ENABLE_ONEDNN_OPTS": "1"}, "1"),
    ):
        code = (
            f"import platform; platform.machine = lambda: {machine!r}\n"
            "from dcgan_tf.common.start_tensorflow import start_tensorflow\n"
            "start_tensorflow()\n"
        )
        assert in_a_new_process(code, tmp_path, **own) == expected


@pytest.mark.slow
@pytest.mark.skipif(platform.machine() != "x86_64", reason="oneDNN is TensorFlow's choice on x86")
def test_what_is_recorded_of_onednn_is_what_a_convolution_meets(tmp_path):
    # conftest.py asks for it as the commands do.
    assert devices.computing(tf.distribute.get_strategy())["onednn"]
    code = (
        "import tensorflow as tf\n"
        "from dcgan_tf.train.devices import computing\n"
        "found = computing(tf.distribute.get_strategy())\n"
        "print(found['onednn'], found['intra_op_threads'], found['inter_op_threads'])\n"
    )
    env = {"TF_ENABLE_ONEDNN_OPTS": "0", "TF_NUM_INTRAOP_THREADS": "1"}
    said = in_a_new_process(code, tmp_path, TF_NUM_INTEROP_THREADS="3", **env)
    assert said == "False 1 3"
