"""How a training is computed: XLA or not, oneDNN or not, the threads; its bits depend on them."""

import logging
import os
from pathlib import Path

import numpy as np
import tensorflow as tf

from dcgan_tf.common.errors import UserError
from dcgan_tf.train.devices import describe

log = logging.getLogger(__name__)

# Where XLA compiles this step with TensorFlow 2.21. Older cards need a cuDNN that is older than
# those with which it works; on newer ones (RTX 50: 12.0) it ends the process.
XLA_CAPABILITIES = (7, 5), (9, 99)


def use_jit(config, strategy) -> bool:
    """Whether XLA compiles the step; on a GPU for which auto leaves it off, a line says why.

    Raises:
        UserError: on with several devices, which TensorFlow cannot do.
    """
    replicas, gpus = strategy.num_replicas_in_sync, gpu_details()
    if config.jit == "on" and replicas > 1:
        raise UserError(
            f"--jit on with {replicas} devices: an XLA program runs on one "
            "device and cannot reach the weights and gradients of the others; use --jit auto"
        )
    reason = why_no_xla(config.jit, replicas, gpus)
    if gpus and config.jit == "auto" and reason:
        log.info(f"XLA is off: {reason}")
    return not reason


def why_no_xla(jit: str, replicas: int, gpus: list[dict]) -> str:
    """Why XLA does not compile the step, "" where it does.

    Args:
        jit: the setting, auto, on or off.
        replicas: devices that share a batch.
        gpus: of each GPU what gpu_details says.
    """
    if jit != "auto":
        return "" if jit == "on" else "--jit off"
    if replicas > 1:
        return f"an XLA program runs on one device, and here are {replicas}"
    if not gpus:
        return "it halves the speed of this step on a CPU"
    name = gpus[0].get("device_name", "this GPU")
    capability = gpus[0].get("compute_capability")
    if not capability:
        return f"{name} names no compute capability; --jit on tries it"
    lowest, highest = XLA_CAPABILITIES
    if lowest <= tuple(capability) <= highest:
        return ""
    return (
        f"it works with compute capabilities 7.5 to 9.x, and {name} has "
        f"{'.'.join(map(str, capability))}; --jit on tries it"
    )


def gpu_details() -> list[dict]:
    """Of each GPU that is used: `device_name` and `compute_capability`, (major, minor), if known.

    [] without a GPU.
    """
    if not tf.config.list_logical_devices("GPU"):
        return []
    gpus = tf.config.get_visible_devices("GPU")
    return [tf.config.experimental.get_device_details(gpu) for gpu in gpus]


def computing(strategy) -> dict:
    """What the bits of a training depend on beside its settings and data.

    Returns:
        `devices` in words; on CPUs also `inter_op_threads`, `intra_op_threads` (the numbers that
        TensorFlow works with), `onednn` (whether its kernels are used) and `instructions` (the
        widest set that the CPU has).
    """
    found = {"devices": describe(strategy)}
    if tf.config.list_logical_devices("GPU"):
        return found
    threading = tf.config.threading
    return found | {
        "inter_op_threads": threading.get_inter_op_parallelism_threads() or _threads("INTEROP"),
        "intra_op_threads": threading.get_intra_op_parallelism_threads() or _threads("INTRAOP"),
        "onednn": uses_onednn(),
        "instructions": np.show_config("dicts").get("SIMD Extensions", {}).get("found", [""])[-1],
    }


def _threads(kind):
    """int: what TensorFlow takes from TF_NUM_..._THREADS, or else one for each CPU."""
    text = os.environ.get(f"TF_NUM_{kind}_THREADS", "")
    number = int(text) if text.isdecimal() else 0
    own_cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return number or own_cpus


def multiplies_bfloat16(cpuinfo: str = "/proc/cpuinfo") -> bool:
    """Whether the processor has Intel's AMX for bfloat16, several times as fast as float32.

    Only Linux tells; elsewhere False.
    """
    try:
        return "amx_bf16" in Path(cpuinfo).read_text(encoding="utf-8", errors="replace").split()
    except OSError:
        return False


def uses_onednn() -> bool:
    """Whether TensorFlow gives a convolution on the CPU to oneDNN: it is asked to run one."""
    v1, seen = tf.compat.v1, tf.compat.v1.RunMetadata()
    with tf.Graph().as_default(), tf.device("/CPU:0"), v1.Session() as session:
        pictures = v1.placeholder(tf.float32, (1, 8, 8, 4))
        made = tf.nn.conv2d(pictures, tf.ones((3, 3, 4, 4)), 1, "SAME")
        options = v1.RunOptions(output_partition_graphs=True)
        session.run(made, {pictures: np.zeros(pictures.shape, "float32")}, options, seen)
    return any(node.op.startswith("_Mkl") for graph in seen.partition_graphs for node in graph.node)
