"""Describe the machine, and refuse a training that needs more memory than it has."""

import math
import os
import platform
import re
from pathlib import Path

import tensorflow as tf

from dcgan_tf import __version__
from dcgan_tf.common import cuda, limits
from dcgan_tf.common.config import Config
from dcgan_tf.common.errors import UserError
from dcgan_tf.models import xla
from dcgan_tf.models.networks import build_discriminator, build_generator
from dcgan_tf.train import devices
from dcgan_tf.train.run_lock import versions

PROGRAM_BYTES = 2**29  # of memory: TensorFlow with its libraries
CPUINFO = Path("/proc/cpuinfo")  # on Linux
_BFLOAT16 = {"amx_bf16": "AMX", "avx512_bf16": "AVX512_BF16"}  # as cpuinfo has them, and in words


def best_precision(gpus: list[dict]) -> str:
    """Name the precision in which the first of these GPUs, or the processor, is fastest."""
    if not gpus:
        return "mixed_bfloat16" if bfloat16_instructions() else "float32"
    capability = tuple(gpus[0].get("compute_capability", (0, 0)))
    if capability >= (8, 0):
        return "mixed_bfloat16"
    return "mixed_float16" if capability >= (7, 0) else "float32"


def bfloat16_instructions() -> list[str]:
    """Name the processor's instructions for bfloat16; only Linux tells of them."""
    words = _cpuinfo().split()
    return [text for flag, text in _BFLOAT16.items() if flag in words]


def _cpuinfo() -> str:
    return CPUINFO.read_text(errors="replace") if CPUINFO.is_file() else ""


def describe_machine(config: Config, strategy: tf.distribute.Strategy) -> dict[str, str]:
    """{what: text} of all that decides how the steps are computed, for a report of a fault."""
    gpus, now, made = xla.gpu_details(), devices.computing(strategy), versions()
    reason = xla.why_no_xla(config, strategy.num_replicas_in_sync, gpus)
    commit = f" ({made['git_commit'][:10]})" if made["git_commit"] else ""
    packages = ("tensorflow", "keras", "numpy")
    found = {
        "version": f"dcgan_tf {__version__}{commit}, Python {made['python']}, "
        + ", ".join(f"{name} {made[name]}" for name in packages),
        "system": made["platform"] + _surroundings(),
        "processor": ", ".join([_processor(), f"{made['cpus']} cores", *bfloat16_instructions()]),
        "memory": limits.in_words(limits.memory()),
        "devices": "; ".join([now["devices"], *map(_describe_gpu, range(len(gpus)), gpus)]),
        **_describe_cuda(gpus),
        "precision": config.precision + _advise(config.precision, gpus),
        "XLA": f"off ({reason})" if reason else "on",
    }
    if not gpus:
        found["oneDNN"] = f"{'on' if now['onednn'] else 'off'}, {now['instructions']}"
        found["threads"] = (
            f"{now['intra_op_threads']} within an operation, "
            f"{now['inter_op_threads']} for operations side by side"
        )
    return found


def _surroundings() -> str:
    """The container or virtual machine that a program on Linux runs in."""
    places = {"Docker": "/.dockerenv", "Podman": "/run/.containerenv", "WSL": "/dev/dxg"}
    return "".join(f", {name}" for name, path in places.items() if Path(path).exists())


def _processor() -> str:
    found = re.search(r"^model name\s*: (.*)$", _cpuinfo(), re.MULTILINE)
    return found[1] if found else platform.processor() or platform.machine()


def _describe_gpu(number, details) -> str:
    capability = ".".join(map(str, details.get("compute_capability", ["unknown"])))
    memory = cuda.card_memory(number)
    words = [details.get("device_name", "a GPU"), f"compute capability {capability}"]
    return ", ".join(words + [limits.in_words(memory)] * bool(memory))


def _describe_cuda(gpus) -> dict[str, str]:
    """The driver and CUDA's libraries, where one of them is there."""
    built = tf.sysconfig.get_build_info()
    loaded = {f"{name} loaded": text for name, text in cuda.loaded_versions().items()}
    parts = {"driver": cuda.driver_version(), **loaded}
    if not gpus and not any(parts.values()):
        return {}
    parts |= {"built for CUDA": built.get("cuda_version", ""), "cuDNN": built.get("cudnn_version")}
    parts |= {name: text for name, text in os.environ.items() if name == "CUDA_VISIBLE_DEVICES"}
    return {"CUDA": ", ".join(f"{name} {text or 'unknown'}" for name, text in parts.items())}


def _advise(precision, gpus) -> str:
    best = best_precision(gpus)
    if precision == best:
        return ""
    if precision == "mixed_float16" and not gpus:
        return "; on processors float16 is slower than float32"
    if precision == "mixed_bfloat16" and best == "float32":
        return "; nothing here computes in bfloat16, so float32 is faster"
    tried = " (--precision auto tries it)" if best == "mixed_bfloat16" else ""
    return f"; best here: {best}{tried}" if best != "float32" else ""


def memory_needed(config: Config) -> int:
    """Count the bytes that a training takes at least; really it is one to four times that.

    They are a weight, two moments and a gradient for each parameter, the feature maps of a batch,
    each layer's convolution and its activation, and the program. The networks are built as shapes.
    """
    with tf.Graph().as_default():
        generator, discriminator = build_generator(config), build_discriminator(config)
        parameters = generator.count_params() + discriminator.count_params()
        # A fake is made in G, and seen by D with a real image.
        values = sum(map(_values, (generator, discriminator, discriminator)))
    values += config.image_size**2 * config.channels
    weight = 8 if config.precision == "float64" else 4
    step = 2 * values * config.batch_size * (2 if "mixed" in config.precision else weight)
    # Several workers share a batch, each on a machine of its own.
    batch = 0 if os.environ.get("TF_CONFIG") else step
    return 4 * weight * parameters + batch + PROGRAM_BYTES


def _values(network) -> int:
    """Count the values in the feature maps of one image."""
    maps = (layer.output.shape for layer in network.layers if hasattr(layer, "kernel"))
    return sum(math.prod(shape[1:]) for shape in maps)


def check_memory(config: Config, on_gpu: bool):
    """Refuse networks or a batch that this machine has too little memory for.

    How much memory a GPU has is seen only when it is full. Of networks from a function the config
    tells no sizes.
    """
    if on_gpu or config.networks:
        return
    needed, there = memory_needed(config), limits.memory()
    if needed > there:
        raise UserError(
            f"this training needs at least {limits.in_words(needed)} of memory and there are "
            f"{limits.in_words(there)}; use a smaller --batch-size or --width",
            flag=f"--batch-size {config.batch_size}",
        )
