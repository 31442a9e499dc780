"""State and versions of the NVIDIA driver and the CUDA libraries, without TensorFlow."""

import contextlib
import ctypes
import os
from importlib import metadata

_LOADED = getattr(os, "RTLD_NOLOAD", 0)  # open only what this process has loaded


def why_unusable() -> str:
    """Say why TensorFlow cannot use the GPU, and what to do."""
    cuda = _load("libcuda.so.1")
    if not cuda:
        why = "there is no NVIDIA driver (libcuda.so.1); install it (for WSL, in Windows)"
        return f"{why}; in a container add --gpus all"
    if code := cuda.cuInit(0):
        cuda.cuGetErrorString(code, ctypes.byref(text := ctypes.c_char_p()))
        why = f"CUDA error {code}: {(text.value or b'unknown').decode()}"
        advice = "update it or restart the machine; in a container add --gpus all"
        return f"its driver does not start ({why}); {advice}"
    if (known := _cuda_version(cuda.cuDriverGetVersion)) < (12,):
        known = _dotted(known)
        return f"its driver supports CUDA {known}, TensorFlow needs CUDA 12; update the driver"
    return "CUDA libraries are missing or do not fit; run: pip install -r requirements-gpu.txt"


def driver_version() -> str:
    """The version of the NVIDIA driver, "" if unknown."""
    library, text = _load("libnvidia-ml.so.1"), ctypes.create_string_buffer(96)
    if not library or library.nvmlInit_v2() or library.nvmlSystemGetDriverVersion(text, len(text)):
        return ""
    return text.value.decode()


def card_memory(number: int) -> int:
    """Memory of the visible GPU with this number in bytes, 0 if unknown."""
    cuda, device, size = _load("libcuda.so.1"), ctypes.c_int(), ctypes.c_size_t()
    if not cuda or cuda.cuInit(0) or cuda.cuDeviceGet(ctypes.byref(device), number):
        return 0
    return 0 if cuda.cuDeviceTotalMem_v2(ctypes.byref(size), device) else size.value


def loaded_versions() -> dict[str, str]:
    """Versions of the CUDA runtime and cuDNN that this process has loaded, if known."""
    found = {}
    if runtime := _load("libcudart.so.12", _LOADED):
        found["CUDA"] = _dotted(_cuda_version(runtime.cudaRuntimeGetVersion))
    if cudnn := cudnn_version():
        found["cuDNN"] = _dotted(cudnn)
    return found


def cudnn_version() -> tuple[int, ...]:
    """The version of cuDNN that is loaded, else of the installed package; () if unknown."""
    if library := _load("libcudnn.so.9", _LOADED):
        number = int(library.cudnnGetVersion())
        return number // 10_000, number % 10_000 // 100, number % 100  # 9.19.0 is 91900
    with contextlib.suppress(metadata.PackageNotFoundError, ValueError):
        return tuple(map(int, metadata.version("nvidia-cudnn-cu12").split(".")[:3]))
    return ()


def _cuda_version(function) -> tuple[int, ...]:
    number = ctypes.c_int()
    function(ctypes.byref(number))
    return number.value // 1000, number.value % 1000 // 10


def _dotted(version) -> str:
    return ".".join(map(str, version))


def _load(name, mode=ctypes.DEFAULT_MODE):
    try:
        return ctypes.CDLL(name, mode)
    except OSError:
        return None
