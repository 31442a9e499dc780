"""Which devices train, how they share the work, and in which precision."""

import json
import os

import keras
import tensorflow as tf

from dcgan_tf.errors import UserError


def prepare(config):
    """Set what TensorFlow and Keras must know before the first operation."""
    for gpu in tf.config.list_physical_devices("GPU"):
        tf.config.experimental.set_memory_growth(gpu, True)
    if config.precision == "float64":
        keras.config.set_floatx("float64")
    keras.config.set_dtype_policy(config.precision)
    if config.deterministic:
        keras.utils.set_random_seed(config.seed)
        tf.config.experimental.enable_op_determinism()


def open_strategy(config):
    """The tf.distribute strategy for `--strategy`.

    Returns:
        tf.distribute.Strategy: TensorFlow's default, which distributes nothing, for one device.

    Raises:
        UserError: the devices are not there, or the batch cannot be shared equally among them.
    """
    kind = config.strategy
    gpus = tf.config.list_logical_devices("GPU") if kind in ("auto", "mirrored") else []
    if kind == "auto":
        several = "mirrored" if len(gpus) > 1 else "none"
        kind = "multiworker" if os.environ.get("TF_CONFIG") else several
    if kind == "multiworker":
        _check_tf_config()
        strategy = tf.distribute.MultiWorkerMirroredStrategy()
    elif kind == "mirrored":
        devices = gpus or tf.config.list_logical_devices("CPU")
        strategy = tf.distribute.MirroredStrategy([device.name for device in devices])
    else:
        strategy = tf.distribute.get_strategy()
    replicas = strategy.num_replicas_in_sync
    if config.batch_size % replicas:
        fitting = config.batch_size // replicas * replicas or replicas
        raise UserError(
            f"--batch-size {config.batch_size}: cannot be shared equally by {replicas} devices; "
            f"{fitting} or {fitting + replicas} would"
        )
    return strategy


def _check_tf_config():
    text = os.environ.get("TF_CONFIG", "")
    try:
        workers = json.loads(text)["cluster"]["worker"]
        index = json.loads(text)["task"]["index"]
        if not 0 <= index < len(workers):
            raise ValueError
    except (ValueError, KeyError, TypeError):
        raise UserError(
            f"TF_CONFIG: got {text!r}, expected JSON such as "
            '{"cluster": {"worker": ["host1:2222", "host2:2222"]}, '
            '"task": {"type": "worker", "index": 0}}'
        ) from None


def use_jit(config, strategy):
    """bool: whether XLA compiles the step. It halves the speed on a CPU, hence auto's choice."""
    if config.jit != "auto":
        return config.jit == "on"
    return strategy.num_replicas_in_sync == 1 and bool(tf.config.list_logical_devices("GPU"))


def describe(strategy):
    """str: the devices in words."""
    replicas = strategy.num_replicas_in_sync
    kind = "GPU" if tf.config.list_logical_devices("GPU") else "CPU"
    if replicas == 1:
        return f"one {kind}"
    return f"{replicas} {kind}s ({type(strategy).__name__})"
