"""Decide whether XLA compiles the step."""

import logging
from typing import Any

import tensorflow as tf

from dcgan_tf.common import cuda
from dcgan_tf.common.config import Config
from dcgan_tf.common.errors import UserError

log = logging.getLogger(__name__)

# With TensorFlow 2.21. Older cards need a cuDNN too old for XLA; newer ones (RTX 50: 12.0) are not
# known to work.
XLA_CAPABILITIES = (7, 5), (9, 99)
# With cuDNN 9.3 to 9.5 XLA cannot run a convolution with a bias
# (aws/deep-learning-containers#6418); about 9.6 to 9.18 nothing is known.
XLA_CUDNN = (9, 19)


def use_jit(config: Config, strategy: tf.distribute.Strategy) -> bool:
    """Decide whether XLA compiles the step; log why `auto` leaves it off on a GPU.

    UserError for `on` with several devices, which TensorFlow cannot do.
    """
    replicas, gpus = strategy.num_replicas_in_sync, gpu_details()
    if config.jit == "on" and replicas > 1:
        message = "an XLA program runs on one device; use auto"
        raise UserError(message, flag=f"--jit on with {replicas} devices")
    reason = why_no_xla(config, replicas, gpus)
    if gpus and config.jit == "auto" and reason:
        log.info(f"XLA is off: {reason}")
    return not reason


def why_no_xla(config: Config, replicas: int, gpus: list[dict[str, Any]]) -> str:
    """Say why XLA does not compile the step on so many devices; "" if it does."""
    if config.jit != "auto":
        return "" if config.jit == "on" else "--jit off"
    if replicas > 1:
        return f"an XLA program runs on one device, and here are {replicas}"
    if not gpus:
        return "it halves the speed of this step on a CPU"
    if config.deterministic:
        return "not all that it compiles is reproducible, which --deterministic asks for"
    name = gpus[0].get("device_name", "this GPU")
    capability = gpus[0].get("compute_capability")
    if not capability:
        return f"{name} names no compute capability; --jit on tries it"
    lowest, highest = XLA_CAPABILITIES
    if not lowest <= tuple(capability) <= highest:
        return (
            f"it works with compute capabilities 7.5 to 9.x, and {name} has "
            f"{'.'.join(map(str, capability))}; --jit on tries it"
        )
    cudnn = cuda.cudnn_version()
    if cudnn < XLA_CUDNN:
        found = f"here is {'.'.join(map(str, cudnn))}" if cudnn else "here none is found"
        return (
            "it needs cuDNN 9.19 or newer (9.3 to 9.5 end the training at its first step), and "
            f"{found}; pip install -r requirements-gpu.txt brings one"
        )
    return ""


def gpu_details() -> list[dict[str, Any]]:
    """List `device_name` and `compute_capability`, (major, minor), if known, of each GPU in use."""
    # Logical devices would start TensorFlow, which several workers do together.
    gpus = tf.config.get_visible_devices("GPU")
    return [tf.config.experimental.get_device_details(gpu) for gpu in gpus]
