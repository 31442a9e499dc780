"""What a training is computed with, oneDNN, threads and devices; its bits depend on them."""

import os
from pathlib import Path

import numpy as np
import tensorflow as tf

from dcgan_tf.train.devices import describe


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
