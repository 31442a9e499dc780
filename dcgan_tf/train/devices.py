"""Devices that train, the strategy that shares the work, and the precision."""

import faulthandler
import json
import os
import re
import subprocess
import sys
import zlib

import keras
import tensorflow as tf

from dcgan_tf.common.errors import UserError
from dcgan_tf.models.parts import set_precision

MEETING_SECONDS = 300  # how long a worker waits for the others at the start


def prepare(config):
    """Set what TensorFlow and Keras must know before the first operation."""
    set_precision(config)
    if config.deterministic:
        keras.utils.set_random_seed(config.seed)
        tf.config.experimental.enable_op_determinism()
    if config.use_bias and not (config.d_norm == "batch" and config.d_first_batchnorm):
        # Where LeakyReLU follows a bias, TensorFlow's rewriting of graphs gives up, with a message
        # that looks like an error, at its gradient (2.20 and 2.21). It is left out beforehand.
        tf.config.optimizer.set_experimental_options({"remapping": False})


def open_strategy(config):
    """The tf.distribute strategy for `--strategy`.

    Returns:
        tf.distribute.Strategy: TensorFlow's default, which distributes nothing, for one device.

    Raises:
        UserError: the devices are not there, or the batch cannot be shared equally among them.
    """
    kind = "multiworker" if is_multiworker(config) else config.strategy
    gpus = tf.config.list_logical_devices("GPU") if kind in ("auto", "mirrored") else []
    if kind == "auto":
        kind = "mirrored" if len(gpus) > 1 else "none"
    if kind == "multiworker":
        strategy = _meet_workers()
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


def _meet_workers():
    """The strategy of several workers; ends the process, exit code 1, if they do not all come.

    TensorFlow waits for them for an hour without letting any other Python thread run; only
    faulthandler's watchdog, which needs none, can end that. It has no words of its own, so another
    process says them when it hears from the watchdog.
    """
    seconds = f"{MEETING_SECONDS} seconds"
    waiting = f"waiting for the other workers; giving up after {seconds}"
    print(waiting, file=sys.stderr, flush=True)
    last = f"error: not all workers came within {seconds}; see what they printed, start all again"
    command = [sys.executable, "-ISc", "import sys; sys.stdin.read() and sys.exit(sys.argv[1])"]
    with subprocess.Popen([*command, last], stdin=subprocess.PIPE) as speaker:
        faulthandler.dump_traceback_later(MEETING_SECONDS, exit=True, file=speaker.stdin)
        try:
            return tf.distribute.MultiWorkerMirroredStrategy()
        finally:
            faulthandler.cancel_dump_traceback_later()


def is_multiworker(config):
    """bool: whether several processes train together."""
    given = bool(os.environ.get("TF_CONFIG"))
    return config.strategy == "multiworker" or (config.strategy == "auto" and given)


def worker(config) -> tuple[int, int]:
    """Which of the processes that train together this one is.

    Returns:
        Its number, 0 for the chief, which alone writes; and how many there are.

    Raises:
        UserError: TF_CONFIG is missing, unreadable, or names no hosts that can be reached.
    """
    if not is_multiworker(config):
        return 0, 1
    text = os.environ.get("TF_CONFIG", "")
    try:
        if len(text) > _LONGEST_TF_CONFIG:
            raise ValueError
        cluster, task = (json.loads(text)[key] for key in ("cluster", "task"))
        for hosts in cluster.values():
            _check_hosts(hosts)
        chiefs, workers = cluster.get("chief", []), cluster.get("worker", [])
        own = {"chief": chiefs, "worker": workers}[task["type"]]
        index = int(task["index"])
        if not 0 <= index < len(own):
            raise ValueError
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        shown = text if len(text) <= 200 else f"{text[:200]}..."
        raise UserError(
            f"TF_CONFIG: got {shown!r}, expected JSON such as "
            '{"cluster": {"worker": ["host1:2222", "host2:2222"]}, '
            '"task": {"type": "worker", "index": 0}}'
        ) from None
    number = index if task["type"] == "chief" else index + len(chiefs)
    return number, len(chiefs) + len(workers)


_LONGEST_TF_CONFIG = 1_000_000  # characters: thousands of hosts


def _check_hosts(hosts):
    """Raise ValueError unless this is a list of different `host:port`."""
    if not isinstance(hosts, list) or len(set(hosts)) < len(hosts):
        raise ValueError
    for host in hosts:
        name, _, port = host.rpartition(":")
        if not name.strip() or not re.fullmatch("[0-9]{1,5}", port) or not 0 < int(port) < 65536:
            raise ValueError


def check_agreement(strategy, **values):
    """Raise UserError unless all workers have the same values (texts, compared by a checksum)."""
    own = [float(zlib.crc32(text.encode())) for text in values.values()]

    @tf.function(autograph=False)
    def total():
        def add():
            context = tf.distribute.get_replica_context()
            return context.all_reduce("SUM", tf.constant(own, tf.float64))

        return strategy.experimental_local_results(strategy.run(add))[0]

    for name, one, all_together in zip(values, own, total().numpy(), strict=True):
        if one * strategy.num_replicas_in_sync != all_together:
            raise UserError(
                f"the workers differ in their {name}; give all of them the same flags, the same "
                "pictures and a --run directory on a disk that they share"
            )


def describe(strategy):
    """str: the devices in words."""
    replicas = strategy.num_replicas_in_sync
    kind = "GPU" if tf.config.list_logical_devices("GPU") else "CPU"
    if replicas == 1:
        return f"one {kind}"
    return f"{replicas} {kind}s ({type(strategy).__name__})"
