"""What the NVIDIA driver and CUDA's libraries say of themselves, from stand-ins for them."""

import json
import os
import shutil
import subprocess
import sys

import pytest
from helpers import REPO

from dcgan_tf.common import cuda

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or not shutil.which("gcc"), reason="builds libraries for Linux"
)

LIBRARY = """
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
static int number(const char *name) { return atoi(getenv(name)); }
int cuInit(unsigned flags) { return number("INIT"); }
int cuDriverGetVersion(int *version) { *version = number("KNOWN"); return 0; }
int cuGetErrorString(int code, const char **text) { *text = "bad combination"; return 0; }
int cuDeviceGet(int *device, int number) { *device = number; return number > 0; }
int cuDeviceTotalMem_v2(size_t *size, int device) { *size = (size_t)24 << 30; return 0; }
int nvmlInit_v2(void) { return 0; }
int nvmlSystemGetDriverVersion(char *text, unsigned size) { strcpy(text, "570.86"); return 0; }
int cudaRuntimeGetVersion(int *version) { *version = 12050; return 0; }
size_t cudnnGetVersion(void) { return number("CUDNN"); }
"""
PROGRAM = """
import ctypes, json, sys
from dcgan_tf.common import cuda
for name in sys.argv[1:]:
    ctypes.CDLL(name)
print(json.dumps([
    cuda.why_unusable(), cuda.driver_version(), cuda.card_memory(0), cuda.card_memory(1),
    cuda.loaded_versions(),
]))
"""


@pytest.fixture
def ask(tmp_path):
    """Called with what the libraries say, for what cuda.py makes of it."""
    (tmp_path / "all.c").write_text(LIBRARY)
    command = ["gcc", "-shared", "-fPIC", "-o", "all.so", "all.c"]
    subprocess.run(command, cwd=tmp_path, check=True)
    folder = tmp_path / "a lib"
    folder.mkdir()
    for name in ("libcuda.so.1", "libnvidia-ml.so.1", "libcudart.so.12", "libcudnn.so.9"):
        shutil.copy(tmp_path / "all.so", folder / name)

    def call(*loaded, init=0, known=12080, cudnn=91900):
        says = {"INIT": init, "KNOWN": known, "CUDNN": cudnn, "LD_LIBRARY_PATH": folder}
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, *loaded],
            env=os.environ | {name: str(value) for name, value in says.items()},
            cwd=REPO,
            capture_output=True,
            check=True,
        )
        return json.loads(done.stdout)

    return call


def test_driver_memory_and_libraries_are_those_that_are_loaded(ask):
    why, *found = ask("libcudart.so.12", "libcudnn.so.9")
    assert why.startswith("CUDA libraries are missing")
    assert found == ["570.86", 24 * 2**30, 0, {"CUDA": "12.5", "cuDNN": "9.19.0"}]
    assert ask()[-1] == {}


def test_the_fault_of_a_driver_is_named(ask, monkeypatch):
    why = ask(init=803)[0]
    assert why.startswith("its driver does not start (CUDA error 803: bad combination)")
    assert ask(known=11040)[0].startswith("its driver supports CUDA 11.4, TensorFlow needs CUDA 12")
    monkeypatch.setattr(cuda, "_load", lambda *_: None)
    assert "no NVIDIA driver" in cuda.why_unusable() and "--gpus all" in cuda.why_unusable()
    assert (cuda.driver_version(), cuda.card_memory(0)) == ("", 0)
    monkeypatch.setattr(cuda.metadata, "version", lambda name: "9.24.0.43")
    assert cuda.cudnn_version() == (9, 24, 0)
