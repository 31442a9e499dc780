"""Ask the NVIDIA driver and CUDA's libraries what they are, without TensorFlow."""

import contextlib
import ctypes
import re
from importlib import metadata
from pathlib import Path

_MAPS = Path("/proc/self/maps")  # on Linux, where CUDA is, the libraries that are loaded


def why_unusable() -> str:
    """Say why TensorFlow cannot use a card that is there, and what to do."""
    cuda = _load("libcuda.so.1")
    if not cuda:
        why = "there is no NVIDIA driver (libcuda.so.1); install it, in WSL on Windows' side"
        return f"{why}; in a container add --gpus all"
    if code := cuda.cuInit(0):
        cuda.cuGetErrorString(code, ctypes.byref(text := ctypes.c_char_p()))
        why = f"CUDA error {code}: {(text.value or b'unknown').decode()}"
        advice = "update it or restart the machine; in a container add --gpus all"
        return f"its driver does not start ({why}); {advice}"
    if (known := _cuda_version(cuda.cuDriverGetVersion)) < (12,):
        known = _dotted(known)
        return f"its driver knows CUDA {known}, TensorFlow needs CUDA 12; update the driver"
    return "CUDA's libraries are missing or do not fit; pip install -r requirements-gpu.txt"


def driver_version() -> str:
    """The version of the NVIDIA driver, "" where it is not told."""
    library, text = _load("libnvidia-ml.so.1"), ctypes.create_string_buffer(96)
    if not library or library.nvmlInit_v2() or library.nvmlSystemGetDriverVersion(text, len(text)):
        return ""
    return text.value.decode()


def card_memory(number: int) -> int:
    """Bytes of memory on the visible card with this number, 0 where it is not told."""
    cuda, device, size = _load("libcuda.so.1"), ctypes.c_int(), ctypes.c_size_t()
    if not cuda or cuda.cuInit(0) or cuda.cuDeviceGet(ctypes.byref(device), number):
        return 0
    return 0 if cuda.cuDeviceTotalMem_v2(ctypes.byref(size), device) else size.value


def loaded_versions() -> dict[str, str]:
    """Versions of CUDA's runtime and of cuDNN that this process has loaded, as far as told."""
    found = {}
    if runtime := _loaded("libcudart"):
        found["CUDA"] = _dotted(_cuda_version(runtime.cudaRuntimeGetVersion))
    if cudnn := cudnn_version():
        found["cuDNN"] = _dotted(cudnn)
    return found


def cudnn_version() -> tuple[int, ...]:
    """The version of cuDNN that is loaded, or else installed by pip; () where it is not told."""
    if library := _loaded("libcudnn"):
        number = int(library.cudnnGetVersion())
        major = 10_000 if number >= 90_000 else 1000  # 9.19.0 is 91900, 8.9.7 was 8907
        return number // major, number % major // 100, number % 100
    with contextlib.suppress(metadata.PackageNotFoundError, ValueError):
        return tuple(map(int, metadata.version("nvidia-cudnn-cu12").split(".")[:3]))
    return ()


def _cuda_version(function) -> tuple[int, ...]:
    number = ctypes.c_int()
    function(ctypes.byref(number))
    return number.value // 1000, number.value % 1000 // 10


def _dotted(version) -> str:
    return ".".join(map(str, version))


def _loaded(name):
    """The library of this name that is loaded already, None where none is."""
    try:
        maps = _MAPS.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    found = re.search(rf"/.*/{name}\.so[.\d]*$", maps, re.MULTILINE)
    return _load(found[0]) if found else None


def _load(name):
    try:
        return ctypes.CDLL(name)
    except OSError:
        return None
