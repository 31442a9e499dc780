"""train.py on several logical CPUs and in several processes."""

import json
import socket

from helpers import REPO, SMALL
from programs import start_program

from dcgan_tf.common import checkpoints

TINY = (
    *("--config", "demo", "--subset", "48", *SMALL, "--batch-size", "12"),
    *("--sample-count", "4", "--epochs", "2", "--no-tensorboard", "--run", "runs/a"),
)
# At higher rates a few steps of a GAN make much of a rounding: 0.0002 apart becomes 0.15.
LOW_RATES = ("--g-learning-rate", "1e-4", "--d-learning-rate", "1e-4")
# train.py on N logical CPU devices, with Adam or, to show gradients as they are, with SGD.
PROGRAM = f"""
import sys
sys.path.insert(0, {str(REPO)!r})
import tensorflow as tf
count, optimizer, seconds = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
cpu = tf.config.list_physical_devices("CPU")[0]
logical = [tf.config.LogicalDeviceConfiguration()] * count
tf.config.set_logical_device_configuration(cpu, logical)
import keras
import train
from dcgan_tf.train import devices
from dcgan_tf.models import parts
from dcgan_tf.common.cli import run
devices.MEETING_SECONDS = seconds
if optimizer == "sgd":
    assert hasattr(parts, "Adam")  # as build_model calls it
    parts.Adam = lambda *settings: keras.optimizers.SGD(0.05)
run(lambda _: train.main(sys.argv[4:]))
"""


def start(cwd, *flags, devices=1, optimizer="adam", tf_config=None, meeting=200, env=None):
    env = {"TF_CONFIG": json.dumps(tf_config)} if tf_config else env
    return start_program(("-c", PROGRAM, devices, optimizer, meeting, *flags), cwd, env)


def start_workers(cwd, *flags, own_flags=((), ()), **kwargs):
    """Two workers on this machine; the first is the chief."""
    sockets = [socket.socket() for _ in range(2)]
    for free in sockets:
        free.bind(("127.0.0.1", 0))
    hosts = [f"127.0.0.1:{free.getsockname()[1]}" for free in sockets]
    for free in sockets:
        free.close()
    configs = [
        {"cluster": {"worker": hosts}, "task": {"type": "worker", "index": i}} for i in range(2)
    ]
    return [
        start(cwd, *flags, *own, tf_config=config, **kwargs)
        for own, config in zip(own_flags, configs, strict=True)
    ]


def finish(*processes, code=0):
    """Wait for the processes; their outputs (stdout, stderr)."""
    outputs = [process.communicate(timeout=240) for process in processes]
    assert [p.returncode for p in processes] == [code] * len(processes), outputs
    return outputs


def final(cwd):
    """The state at the end, and the records of metrics.jsonl."""
    state, _ = checkpoints.read(checkpoints.files(cwd / "runs/a/checkpoints")[-1])
    lines = (cwd / "runs/a/metrics.jsonl").read_text().splitlines()
    return state, [json.loads(line) for line in lines]
