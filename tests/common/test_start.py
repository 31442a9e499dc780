"""How a command starts, whatever the environment holds: streams, Keras' settings."""

import io
import json
import os
import signal
import subprocess
import sys

import pytest
from helpers import REPO

from dcgan_tf.common import start_tensorflow, streams
from dcgan_tf.common.errors import UserError

PYTHON = f'"{sys.executable}"'


def shell(command, cwd, **env):
    """CompletedProcess of a shell line, in which $TRAIN is train.py."""
    train = f'{PYTHON} "{REPO / "train.py"}"'
    return subprocess.run(
        ["bash", "-c", command.replace("$TRAIN", train)],
        cwd=cwd,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(REPO)} | env,
        capture_output=True,
        encoding="utf-8",
        timeout=120,
    )


TALK = """
import sys
from pathlib import Path
from dcgan_tf.common.cli import run
from dcgan_tf.common.log import speak
import logging, tqdm
def main(argv):
    speak()
    for number in range(3000):
        logging.getLogger("dcgan_tf.train").info(f"line {number} \\udcff \\u00e4 \\x1b[31m")
        print("x" * 50, flush=True), print("e" * 50, file=sys.stderr)
    for _ in tqdm.tqdm(range(9)): pass
    Path("done").write_text("all of it")
    return 3
run(main)
"""


ASCII, UTF_8 = {"PYTHONIOENCODING": "ascii"}, {"LC_ALL": "C.UTF-8"}


@pytest.mark.parametrize(
    ("streams", "env"),
    [
        *((">&- 2>&-", ASCII), ("| head -1", ASCII), ("2>&1 | head -1", UTF_8)),
        *(("2> >(head -1 >/dev/null) | true", UTF_8), ("| true", {"LC_ALL": "C"})),
    ],
)
def test_the_work_goes_on_without_its_reader(streams, env, tmp_path):
    (tmp_path / "talk.py").write_text(TALK)
    done = shell(f"{PYTHON} talk.py {streams}; echo ${{PIPESTATUS[0]}} > code", tmp_path, **env)
    assert (tmp_path / "code").read_text() == "3\n"
    assert (tmp_path / "done").read_text() == "all of it"  # and no text of a closed stream in it
    assert "Traceback" not in done.stderr and "BrokenPipe" not in done.stderr


def test_the_work_goes_on_without_its_terminal(tmp_path):
    """As of a job that was disowned, after its window was closed."""
    pty = pytest.importorskip("pty")  # not on Windows
    (tmp_path / "talk.py").write_text(TALK)
    ours, theirs = pty.openpty()
    program = subprocess.Popen(
        [sys.executable, "talk.py"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(REPO)},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN),
        start_new_session=True,
    )
    os.close(theirs)
    shown = os.read(ours, 100)
    os.close(ours)
    assert program.wait(60) == 3
    assert shown.startswith(b"line 0 ")
    assert (tmp_path / "done").read_text() == "all of it"


@pytest.mark.parametrize(
    ("command", "code", "begins"),
    [
        ("$TRAIN --help > /dev/full", 2, "error: No space left"),
        ("$TRAIN --help | head -1; exit ${PIPESTATUS[0]}", 0, ""),
        ("$TRAIN --epoch 5 2>&-", 2, ""),
        ("$TRAIN --data $'\\xff' --subset x", 2, "error: "),
        ("COLUMNS=rubbish $TRAIN --help", 0, ""),
    ],
)
def test_without_home_terminal_streams_or_room(command, code, begins, tmp_path):
    done = shell(command, tmp_path, LC_ALL="C")
    assert done.returncode == code and done.stderr.startswith(begins), done.stderr
    assert done.stderr.count("\n") == bool(begins) and not list(tmp_path.iterdir())


@pytest.mark.slow
def test_what_keras_is_set_to_elsewhere_changes_nothing(tmp_path):
    other = {"floatx": "float16", "image_data_format": "channels_first", "backend": "jax"}
    other = json.dumps(other).encode()
    settings = tmp_path / ".keras/keras.json"
    settings.parent.mkdir()
    settings.write_text('{"floatx": "int3"}')  # at which Keras' own import fails
    (tmp_path / "start.py").write_text(
        "from dcgan_tf.common.log import speak; speak('stderr')\n"
        "from dcgan_tf.common.start_tensorflow import start_tensorflow\n"
        "start_tensorflow()\n"
        "import keras, os, pathlib\n"
        "print(keras.config.backend(), keras.config.image_data_format(), keras.config.floatx(),\n"
        "    keras.config.epsilon(), keras.config.max_epochs(), os.environ.get('KERAS_HOME'),\n"
        "    os.environ['TF_NUM_INTEROP_THREADS'])\n"
        f"for rubbish in (b'[', b'[]', b'7', b'\\xff', b'[' * 100_000, {other!r}):\n"
        f"    pathlib.Path({str(settings)!r}).write_bytes(rubbish); start_tensorflow()\n"
    )
    rubbish = {"KERAS_BACKEND": "torch", "KERAS_MAX_EPOCHS": "one"}
    done = shell(
        f"{PYTHON} start.py", tmp_path, HOME=str(tmp_path), CUDA_VISIBLE_DEVICES="", **rubbish
    )
    assert done.stdout == "tensorflow channels_last float32 1e-07 None None 1\n", done.stderr
    assert done.returncode == 0
    assert done.stderr.splitlines() == [
        "warning: KERAS_BACKEND=torch is ignored",
        "warning: KERAS_MAX_EPOCHS=one is ignored",
        f"warning: {settings}: its floatx is ignored",
        f"warning: {settings}: its backend, image_data_format, floatx is ignored",
    ]


def stop():
    raise ZeroDivisionError


@pytest.mark.parametrize(
    ("flags", "refused"), [("flags\t\t: fpu sse4_2 avx512f", True), ("Features\t: fp", False)]
)
def test_a_processor_for_which_tensorflow_is_not_built_is_named(
    flags, refused, tmp_path, monkeypatch
):
    (tmp_path / "cpuinfo").write_text(f"processor\t: 0\n{flags}\n")
    monkeypatch.setattr(start_tensorflow, "_CPU", tmp_path / "cpuinfo")
    monkeypatch.setattr(start_tensorflow.platform, "machine", stop)  # asked next
    expected = (UserError, "no AVX.*QEMU") if refused else (ZeroDivisionError, None)
    with pytest.raises(expected[0], match=expected[1]):
        start_tensorflow.start_tensorflow()


ABORT = """
import os, sys
class Finder:
    def find_spec(self, name, *rest):
        if name == "tensorflow":
            os.write(2, b"I0000 a greeting\\nthe library's last words\\n")
            os.abort()
sys.meta_path.insert(0, Finder())
from dcgan_tf.common.start_tensorflow import start_tensorflow
start_tensorflow()
"""


HUSHED = """
import os, sys
from dcgan_tf.common.streams import hushed
with hushed():
    os.write(2, b"a greeting\\n")
with hushed():
    os.write(2, b"the library's last words\\n")
    os.abort()
"""


@pytest.mark.parametrize("program", [ABORT, HUSHED])
def test_last_words_of_a_library_that_aborts_are_shown_alone(program, tmp_path):
    (tmp_path / "start.py").write_text(program)
    done = shell(f"exec {PYTHON} start.py", tmp_path)
    assert done.returncode == -signal.SIGABRT
    assert done.stderr == "the library's last words\n"


@pytest.mark.parametrize(
    ("name", "value"),
    [("executable", None), ("executable", ""), ("frozen", True), ("stderr", None), ("stderr", "")],
)
def test_without_a_python_or_a_stderr_nothing_is_filtered(name, value, monkeypatch):
    """As in a program with Python inside, and one with its stderr closed."""
    monkeypatch.setattr(streams.subprocess, "Popen", lambda *a, **k: pytest.fail("started"))
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "2")
    monkeypatch.delitem(sys.modules, "tensorflow", raising=False)
    closed = io.StringIO()
    closed.close()
    monkeypatch.setattr(sys, name, closed if (name, value) == ("stderr", "") else value, False)
    assert start_tensorflow.import_quietly("json") is json
    with start_tensorflow._quiet():
        pass


def test_a_device_that_is_asked_for_is_there_or_refused_and_a_useless_card_is_told(
    tmp_path, monkeypatch, caplog
):
    monkeypatch.setattr(start_tensorflow, "_CARDS", (tmp_path / "nvidia0",))
    monkeypatch.setattr(start_tensorflow.cuda, "why_unusable", lambda: "no driver")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    find_gpus = start_tensorflow.find_gpus
    with pytest.raises(UserError, match="^device gpu: there is no NVIDIA GPU$"):
        find_gpus("gpu")
    assert not find_gpus("auto", "mirrored") and not caplog.messages
    card = tmp_path / "nvidia0"
    card.touch()
    assert not find_gpus()
    (told,) = caplog.messages
    caplog.clear()
    assert told.startswith(f"{card}: there is a GPU, but TensorFlow cannot use it: no driver. Us")
    with pytest.raises(UserError, match="^device gpu: .*cannot use it: no driver$"):
        find_gpus("gpu")
    with pytest.raises(UserError, match="^strategy mirrored: .*no driver$"):
        find_gpus("auto", "mirrored")
    assert not find_gpus("cpu") and not caplog.messages
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert not find_gpus("auto", "mirrored") and not caplog.messages
    with pytest.raises(UserError, match="CUDA_VISIBLE_DEVICES hides the GPUs"):
        find_gpus("gpu")


@pytest.mark.parametrize(
    ("capability", "built", "refused"),
    [
        ((12, 0), ["sm_60", "sm_89", "compute_90"], True),
        ((10, 0), ["sm_90", "compute_90"], True),
        ((12, 0), ["sm_90", "sm_100a", "compute_120"], False),
        ((9, 0), ["sm_60", "compute_90"], False),
        ((12, 0), [], False),  # not told
    ],
)
def test_a_card_newer_than_tensorflow_is_refused_before_it_aborts(
    capability, built, refused, monkeypatch
):
    tf = pytest.importorskip("tensorflow")
    details = {"device_name": "RTX 5090", "compute_capability": capability}
    for module, name, value in (
        (tf.config, "get_visible_devices", ["GPU:0"]),
        (tf.config.experimental, "get_device_details", details),
        (tf.sysconfig, "get_build_info", {"cuda_compute_capabilities": built}),
    ):
        monkeypatch.setattr(module, name, lambda *_, value=value: value)
    if not refused:
        assert start_tensorflow.find_gpus()
        return
    number = ".".join(map(str, capability))
    with pytest.raises(UserError, match=f"RTX 5090 has compute capability {number}.*another"):
        start_tensorflow.find_gpus()
