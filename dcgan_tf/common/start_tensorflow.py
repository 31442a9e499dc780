"""Import TensorFlow without its greeting: a dozen lines that look like errors and are none, and
with nothing that the user's Keras is set to."""

import contextlib
import gc
import logging
import os
import platform
import re
import sys
import tempfile
import time
from pathlib import Path

from dcgan_tf.common import limits
from dcgan_tf.common.errors import UserError
from dcgan_tf.common.foreign import read_json

log = logging.getLogger(__name__)

_CPU = Path("/proc/cpuinfo")

# TF_CPP_MIN_LOG_LEVEL does not reach these, which are written before it is read.
_HARMLESS = (
    b"I0000 ",
    b"WARNING: All log messages before absl",
    b"To enable the following instructions",
    b"failed call to cuInit",  # there is no GPU
)


def start_tensorflow():
    """Import TensorFlow and find its devices; what it writes to stderr is filtered.

    Without a GPU operations run one after the other, which makes what they compute exact; a user's
    own TF_NUM_INTEROP_THREADS is left as it is.

    Warnings that matter, such as a GPU whose libraries are missing, still come through.

    Returns:
        bool: whether there is a GPU.

    Raises:
        UserError: too little memory for TensorFlow, or a clock with which no file can be saved.
    """
    _check_machine()
    _ask_for_onednn()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    with _filtered_stderr(), _own_keras():
        import tensorflow as tf

        gpus = tf.config.list_physical_devices("GPU")
        for gpu in gpus:
            # Otherwise the first process takes all of a GPU's memory, and no other fits beside it.
            tf.config.experimental.set_memory_growth(gpu, True)
        if not gpus:
            # One operation at a time: how two of oneDNN's that run side by side split their sums
            # depends on the moment, and so would every bit. GPUs are fed by several threads.
            os.environ.setdefault("TF_NUM_INTEROP_THREADS", "1")
    gc.freeze()  # 300,000 objects that stay: no collection need look at them again
    return bool(gpus)


def _ask_for_onednn():
    """TensorFlow leaves oneDNN off on x86 processors without AVX512_VNNI or AVX_VNNI, where this
    step is about twice as fast with it. A user's own setting stays."""
    if platform.machine().lower() in ("x86_64", "amd64"):
        os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")


def _check_machine():
    if _lacks_avx():
        raise UserError(
            "this processor has no AVX, with which TensorFlow is built: use another machine, or "
            "let a virtual one have it (QEMU: -cpu host)"
        )
    if time.localtime().tm_year < 1980:
        raise UserError(
            f"the clock says {time.strftime('%Y-%m-%d')}, and zip files, in which networks and "
            "checkpoints are kept, begin at 1980: set the clock"
        )
    if (addresses := limits.addresses()) and addresses < limits.PROGRAM_ADDRESSES:
        raise UserError(
            f"ulimit -v leaves {limits.in_words(addresses)} of address space and TensorFlow needs "
            f"{limits.in_words(limits.PROGRAM_ADDRESSES)}: raise it"
        )
    if (memory := limits.memory()) < limits.PROGRAM_BYTES:
        raise UserError(
            f"there are {limits.in_words(memory)} of memory and TensorFlow alone needs "
            f"{limits.in_words(limits.PROGRAM_BYTES)}"
        )


def _lacks_avx():
    """TensorFlow would abort, and what it says of that be lost."""
    try:
        about = _CPU.read_text(encoding="utf-8", errors="replace")
    except OSError:  # no Linux
        return False
    flags = re.search(r"^flags\s*:(.*)$", about, re.MULTILINE)  # x86 alone calls them so
    return flags is not None and "avx" not in flags[1].split()


_KERAS = {
    "backend": "tensorflow",
    "image_data_format": "channels_last",
    "floatx": "float32",
    "epsilon": 1e-7,
}
_NOT_OURS = ("KERAS_MAX_EPOCHS", "KERAS_MAX_STEPS_PER_EPOCH", "KERAS_NNX_ENABLED")


@contextlib.contextmanager
def _own_keras():
    """Import Keras as this project needs it, whatever ~/.keras/keras.json and KERAS_* say.

    Another backend, image format or float type there, or rubbish, would change what a run computes
    or end it. So Keras looks for its settings in a folder where there are none.
    """
    for name in ("KERAS_BACKEND", *_NOT_OURS):
        found = os.environ.pop(name, None)
        if found not in (None, _KERAS["backend"]):
            log.warning(f"{name}={limits.shorten(found)} is not used here")
    os.environ["KERAS_BACKEND"] = _KERAS["backend"]
    home = os.environ.get("KERAS_HOME")
    _name_other_settings(Path(home or "~/.keras"))
    with tempfile.TemporaryDirectory() as nowhere:
        os.environ["KERAS_HOME"] = nowhere
        try:
            yield
            import keras

            keras.config.set_image_data_format(_KERAS["image_data_format"])
            keras.config.set_floatx(_KERAS["floatx"])
            keras.config.set_epsilon(_KERAS["epsilon"])
        finally:
            del os.environ["KERAS_HOME"]
            if home is not None:
                os.environ["KERAS_HOME"] = home


def _name_other_settings(folder):
    """Warn where the user's Keras is set otherwise, so that nobody counts on it."""
    try:
        path = folder.expanduser() / "keras.json"
    except RuntimeError:  # no home: Keras does not see it either
        return
    found = read_json(path)
    if others := [name for name, ours in _KERAS.items() if found.get(name, ours) != ours]:
        log.warning(f"{path}: its {', '.join(others)} is not used here")


@contextlib.contextmanager
def _filtered_stderr():
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as caught:
        os.dup2(caught.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            caught.seek(0)
            lines = [line for line in caught if not any(word in line for word in _HARMLESS)]
            sys.stderr.write(b"".join(lines).decode("utf-8", "backslashreplace"))
