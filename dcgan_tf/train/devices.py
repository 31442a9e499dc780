"""Choose the devices that train and the strategy that shares the work among them."""

import contextlib
import faulthandler
import json
import logging
import os
import re
import subprocess
import sys
import zlib
from collections.abc import Iterator

import keras
import numpy as np
import tensorflow as tf

from dcgan_tf.common import limits
from dcgan_tf.common.config import Config
from dcgan_tf.common.errors import UserError
from dcgan_tf.models.parts import set_precision

log = logging.getLogger(__name__)

MEETING_SECONDS = 300  # how long a worker waits for the others at the start, and the first step
IMAGES_A_GPU = 32  # below which several take longer than one, which XLA compiles for


def configure(config: Config):
    """Set what TensorFlow and Keras must know before the first operation."""
    set_precision(config)
    if config.deterministic:
        keras.utils.set_random_seed(config.seed)
        tf.config.experimental.enable_op_determinism()
    if config.use_bias and not (config.d_norm == "batch" and config.d_first_batchnorm):
        # Where LeakyReLU follows a bias, TensorFlow's rewriting of graphs gives up, with a message
        # that looks like an error, at its gradient (2.20 and 2.21). It is left out beforehand.
        tf.config.optimizer.set_experimental_options({"remapping": False})


def open_strategy(config: Config) -> tf.distribute.Strategy:
    """Open the strategy for `--strategy`; for one device TensorFlow's default.

    Raises:
        UserError: the devices are not there, or the batch cannot be shared equally among them.
    """
    kind = "multiworker" if is_multiworker(config) else config.strategy
    gpus = tf.config.list_logical_devices("GPU") if kind in ("auto", "mirrored") else []
    if kind == "auto":
        needed = IMAGES_A_GPU * len(gpus)
        kind = "mirrored" if len(gpus) > 1 and config.batch_size >= needed else "none"
        if len(gpus) > 1 and kind == "none":
            log.info(
                f"one of {len(gpus)} GPUs is used: auto takes all from --batch-size {needed} on "
                f"({IMAGES_A_GPU} images for each); --strategy mirrored takes them now"
            )
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
    """Open the strategy of several workers; end the process, exit code 1, if they do not all come.

    TensorFlow would wait for them for an hour.
    """
    seconds = f"{MEETING_SECONDS} seconds"
    print(f"waiting for the other workers; giving up after {seconds}", file=sys.stderr, flush=True)
    with end_after(MEETING_SECONDS, f"not all workers came within {seconds}"):
        return tf.distribute.MultiWorkerMirroredStrategy()


@contextlib.contextmanager
def end_after(seconds: int, fault: str):
    """End the process, exit code 1, with a line if the block takes longer.

    TensorFlow waits for other workers without letting any Python thread run; only faulthandler's
    watchdog, which needs none, can end that. Another process says the line when it hears from it.
    """
    last = f"error: {fault}; see what they printed, start all again"
    # It outlives a Ctrl-C, which goes to all processes of the terminal.
    program = "import signal, sys; signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
    program += "sys.stdin.read() and sys.exit(sys.argv[1])"
    command = [sys.executable, "-ISc", program]
    with subprocess.Popen([*command, last], stdin=subprocess.PIPE) as speaker:
        pipe = speaker.stdin or sys.stderr
        faulthandler.dump_traceback_later(seconds, exit=True, file=pipe)
        try:
            yield
        finally:
            faulthandler.cancel_dump_traceback_later()


@contextlib.contextmanager
def watch_first_step(workers: int) -> Iterator[list[keras.callbacks.Callback]]:
    """Yield the callbacks that end a watch on the block after its first step; none for one worker.

    The first collective operation is where a network that only seemed to work shows.
    """
    if workers == 1:
        yield []
        return
    fault = f"the first step with the other workers took over {MEETING_SECONDS} seconds"
    with contextlib.ExitStack() as watch:
        watch.enter_context(end_after(MEETING_SECONDS, fault))
        running = [watch]

        def end_watch(batch, logs):
            if running:
                float(logs["g_loss"])  # waits for the device
                running.pop().close()

        yield [keras.callbacks.LambdaCallback(on_train_batch_end=end_watch)]


def is_multiworker(config: Config) -> bool:
    """Whether several processes train together."""
    given = bool(os.environ.get("TF_CONFIG"))
    return config.strategy == "multiworker" or (config.strategy == "auto" and given)


def worker(config: Config) -> tuple[int, int]:
    """Return this process' number, 0 for the chief, which alone writes, and how many there are.

    Raises:
        UserError: TF_CONFIG is missing, unreadable, or names no hosts that can be reached.
    """
    if not is_multiworker(config):
        return 0, 1
    text = os.environ.get("TF_CONFIG", "")
    try:
        cluster, task = (json.loads(text)[key] for key in ("cluster", "task"))
        chiefs, workers = cluster.get("chief", []), cluster.get("worker", [])
        hosts, index = [*chiefs, *workers], int(task["index"])
        own = {"chief": chiefs, "worker": workers}[task["type"]]
        ports = [int(re.fullmatch(r"\S.*:([0-9]{1,5})", host)[1]) for host in hosts]  # pyright: ignore
        if not all(0 < port < 65536 for port in ports) or len(set(hosts)) < len(hosts):
            raise ValueError
        if not 0 <= index < len(own):
            raise ValueError
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        raise UserError(
            f"TF_CONFIG: got {limits.shown(text)}, expected JSON such as "
            '{"cluster": {"worker": ["host1:2222", "host2:2222"]}, '
            '"task": {"type": "worker", "index": 0}}'
        ) from None
    return index if own is chiefs else index + len(chiefs), len(hosts)


def check_agreement(strategy: tf.distribute.Strategy, **values: str):
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
            # All have the answer before one ends, which would cost the others theirs.
            with contextlib.suppress(tf.errors.OpError):
                total()
            raise UserError(
                f"the workers differ in their {name}; give all of them the same flags, the same "
                "images and a --run directory on a disk that they share"
            )


def describe(strategy: tf.distribute.Strategy) -> str:
    """The devices in words."""
    replicas = strategy.num_replicas_in_sync
    kind = "GPU" if tf.config.list_logical_devices("GPU") else "CPU"
    if replicas == 1:
        return f"one {kind}"
    return f"{replicas} {kind}s ({type(strategy).__name__})"


def computing(strategy: tf.distribute.Strategy) -> dict:
    """Return the facts besides settings and data on which the bits of a training depend.

    `devices` in words; on CPUs also the numbers of threads, `onednn` (whether its kernels are used)
    and `instructions` (the widest set that the CPU has).
    """
    found = {"devices": describe(strategy)}
    if tf.config.list_logical_devices("GPU"):
        return found
    # No public function tells it.
    from tensorflow.python.util import _pywrap_util_port

    threading = tf.config.threading
    return found | {
        "inter_op_threads": threading.get_inter_op_parallelism_threads() or _threads("INTEROP"),
        "intra_op_threads": threading.get_intra_op_parallelism_threads() or _threads("INTRAOP"),
        "onednn": _pywrap_util_port.IsMklEnabled(),
        "instructions": np.show_config("dicts").get("SIMD Extensions", {}).get("found", [""])[-1],
    }


def _threads(kind) -> int:
    """The number of threads from TF_NUM_..._THREADS, or else one for each CPU."""
    text = os.environ.get(f"TF_NUM_{kind}_THREADS", "")
    number = int(text) if text.isdecimal() else 0
    own_cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return number or own_cpus or 1
