"""Import TensorFlow without its start-up messages, and Keras with its defaults."""

import contextlib
import gc
import logging
import os
import platform
import re
import sys
import tempfile
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType

from dcgan_tf.common import cuda, limits
from dcgan_tf.common.errors import UserError
from dcgan_tf.common.foreign import read_json
from dcgan_tf.common.streams import stderr_through

log = logging.getLogger(__name__)

_CPU = Path("/proc/cpuinfo")

# Lines written before TF_CPP_MIN_LOG_LEVEL is read.
_HARMLESS = (
    "I0000 ",
    "WARNING: All log messages before absl",
    "To enable the following instructions",
    "failed call to cuInit",  # if there is a GPU, find_gpus says more
)
_CARDS = (Path("/dev/nvidia0"), Path("/dev/dxg"))  # on Linux, in WSL

_FILTER = """
for line in sys.stdin.buffer:
    if not any(word.encode() in line for word in sys.argv[1:]):
        sys.stderr.buffer.write(line)
        sys.stderr.flush()
"""


def start_tensorflow(device: str = "auto", strategy: str = "auto") -> bool:
    """Import TensorFlow with a filtered stderr; return whether it uses a GPU.

    Raises:
        UserError: a processor without AVX, on which TensorFlow would abort, or as find_gpus.
    """
    _check_processor()
    if platform.machine().lower() in ("x86_64", "amd64"):
        # Off by default without AVX512_VNNI or AVX_VNNI, where it makes a step twice as fast.
        os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    with _quiet(), _default_keras():
        import tensorflow as tf

        gpus = tf.config.list_physical_devices("GPU")
    if find_gpus(device, strategy):
        for gpu in gpus:
            # Otherwise the first process takes all of a GPU's memory, and no other can start.
            tf.config.experimental.set_memory_growth(gpu, True)
    else:
        # One operation at a time: parallel oneDNN operations split their sums differently in each
        # run. A user's own setting stays. GPUs need several threads.
        os.environ.setdefault("TF_NUM_INTEROP_THREADS", "1")
    gc.freeze()  # garbage collection then skips these 300,000 objects
    return bool(tf.config.get_visible_devices("GPU"))


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Filter what TensorFlow writes to stderr at its start, unless the log level asks for all."""
    level = os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    with stderr_through(_FILTER, *_HARMLESS) if level != "0" else contextlib.nullcontext():
        yield


def import_quietly(module: str) -> ModuleType:
    """Import a module that imports TensorFlow, for a program, whose other settings stay."""
    if "tensorflow" in sys.modules or sys.stderr is None or getattr(sys, "frozen", False):
        return import_module(module)  # frozen: sys.executable, which filters, is no Python
    with _quiet():
        imported = import_module(module)
        if not any(map(Path.exists, _CARDS)):  # or the first operation writes that there is none
            import_module("tensorflow").config.list_physical_devices("GPU")
    return imported


def find_gpus(device: str = "auto", strategy: str = "auto") -> bool:
    """Whether this process uses a GPU; TensorFlow must be imported.

    Args:
        device: cpu hides the GPUs, gpu requires one.
        strategy: mirrored requires that an existing GPU is usable.

    Raises:
        UserError: no usable GPU although one is required, or a GPU newer than TensorFlow.
    """
    import tensorflow as tf

    if device == "cpu":
        try:
            tf.config.set_visible_devices([], "GPU")
        except RuntimeError:
            message = "TensorFlow uses the GPU already; set it before the first operation"
            raise UserError(message, flag="--device cpu") from None
    gpus = tf.config.get_visible_devices("GPU")
    for gpu in gpus:
        _check_card(tf, tf.config.experimental.get_device_details(gpu))
    if gpus or device == "cpu":
        return bool(gpus)
    card = next(filter(Path.exists, _CARDS), None)
    if os.environ.get("CUDA_VISIBLE_DEVICES", "0") in ("", "-1"):
        card, reason = None, "CUDA_VISIBLE_DEVICES hides the GPUs"
    elif card:
        reason = f"{card}: there is a GPU, but TensorFlow cannot use it: {cuda.why_unusable()}"
    else:
        reason = "there is no NVIDIA GPU"
    if device == "gpu":
        raise UserError(reason, flag="--device gpu")
    if card and strategy == "mirrored":
        raise UserError(reason, flag="--strategy mirrored")
    if card:
        log.warning(f'{reason}. Using the CPU; CUDA_VISIBLE_DEVICES="" turns this warning off')
    return False


def _check_card(tf, details: dict):
    """Raise UserError for a GPU for which TensorFlow has no kernels: it would abort."""
    capability = details.get("compute_capability", (0, 0))
    built = tf.sysconfig.get_build_info().get("cuda_compute_capabilities", ())
    majors = [int(found[1]) for name in built if (found := re.search(r"_(\d+)\d[a-z]?$", name))]
    if majors and capability[0] >= 10 > max(majors):
        number = ".".join(map(str, capability))
        raise UserError(
            f"{details.get('device_name', 'this GPU')} has compute capability {number}, which "
            f"TensorFlow {tf.__version__} does not support; use a newer TensorFlow, or "
            'another device: CUDA_VISIBLE_DEVICES="" is the CPU'
        )


def _check_processor():
    try:
        about = _CPU.read_text(encoding="utf-8", errors="replace")
    except OSError:  # not Linux
        return
    flags = re.search(r"^flags\s*:(.*)$", about, re.MULTILINE)  # only x86 has this line
    if flags and "avx" not in flags[1].split():
        raise UserError(
            "this processor has no AVX, which TensorFlow needs; use another machine, or enable AVX "
            "in the virtual machine (QEMU: -cpu host)"
        )


_KERAS = {
    "backend": "tensorflow",
    "image_data_format": "channels_last",
    "floatx": "float32",
    "epsilon": 1e-7,
}
_UNUSED = ("KERAS_BACKEND", "KERAS_MAX_EPOCHS", "KERAS_MAX_STEPS_PER_EPOCH", "KERAS_NNX_ENABLED")


@contextlib.contextmanager
def _default_keras():
    """Import Keras with its defaults: ignore ~/.keras/keras.json and KERAS_*, with a warning."""
    for name in _UNUSED:
        found = os.environ.pop(name, None)
        if found not in (None, _KERAS["backend"]):
            log.warning(f"{name}={limits.shorten(found)} is ignored")
    os.environ["KERAS_BACKEND"] = _KERAS["backend"]
    home = os.environ.get("KERAS_HOME")
    path = Path(os.path.expanduser(home or "~/.keras")) / "keras.json"
    settings = read_json(path)
    if others := [name for name, ours in _KERAS.items() if settings.get(name, ours) != ours]:
        log.warning(f"{path}: its {', '.join(others)} is ignored")
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
