"""--dry-run and --check: show what a training would do, and how fast, and write nothing."""

import io
import logging
import platform
import time
from dataclasses import replace
from importlib import metadata

import keras
import numpy as np
import tensorflow as tf

from dcgan_tf.common.config import Config
from dcgan_tf.common.config_file import to_toml
from dcgan_tf.common.errors import UserError
from dcgan_tf.common.progress import duration
from dcgan_tf.data.places import find, is_fetched
from dcgan_tf.data.synthetic import draw_face
from dcgan_tf.models import xla
from dcgan_tf.models.gan import DCGAN
from dcgan_tf.models.parts import build_networks
from dcgan_tf.train import devices
from dcgan_tf.train.callbacks.control import CallbackList
from dcgan_tf.train.command import Request
from dcgan_tf.train.images import check_count, open_images, plan_epoch, warn_of_few
from dcgan_tf.train.run_lock import name_run
from dcgan_tf.train.session import share_batches

log = logging.getLogger(__name__)

WARM_UP, STEPS = 2, 10
FACES = 16  # are drawn; the speed does not depend on what is seen


def print_plan(request: Request):
    """Print the resolved config, both networks with Keras' totals, and the plan.

    Raises:
        UserError: devices that are not there; missing data are only named.
    """
    config = request.config
    print(to_toml(config))
    devices.configure(config)
    strategy = devices.open_strategy(config)
    for network in build_networks(config):
        text = io.StringIO()
        network.summary(print_fn=lambda line, text=text: print(line, file=text))
        print(text.getvalue())
    new = f"a new directory runs/NNNN-{name_run(request.config_name, config)}"
    print(f"run:      {request.run_dir or new}")
    print(f"devices:  {devices.describe(strategy)}, precision {config.precision}")
    print(f"images:   {look_for_images(request)[1]}")


def look_for_images(request: Request) -> tuple[int, str]:
    """How many images a training would see, 0 where that is not known, and a text about them."""
    config = request.config
    try:
        if is_fetched(config):
            return config.subset, f"{find(config)}, downloaded if needed (not looked at now)"
        config, source, new = request.images or open_images(request)
    except UserError as error:
        return config.subset, f"none: {error.for_command()}"
    count = config.subset or len(source.names)
    check_count(config, count, source.where, new)
    if new:
        warn_of_few(config, count)
    steps = plan_epoch(config, count)
    return count, (
        f"{count:,} of {len(source.names):,}, {source.where}; steps of {config.batch_size}: "
        f"{steps:,} an epoch, {steps * config.epochs_of(steps * config.batch_size):,} in all"
    )


def measure_speed(request: Request):
    """Print what a training with these settings would use, and time ten steps.

    Raises:
        UserError: devices that are not there, or a batch that they cannot share.
    """
    config = request.config
    devices.configure(config)
    strategy = devices.open_strategy(config)
    for name, text in _describe_machine(config, strategy).items():
        log.info(f"{name + ':':<11}{text}")
    count, words = look_for_images(request)
    log.info(f"{'images:':<11}{words}")
    log.info(f"timing {STEPS} steps of {config.batch_size} drawn faces ...")
    first, seconds = time_steps(config, strategy)
    speed = STEPS * config.batch_size / seconds
    log.info(f"{'speed:':<11}{speed:,.1f} images/s; the first steps took {first:.0f} s")
    if count:
        steps = plan_epoch(config, count)
        epoch, epochs = steps * seconds / STEPS, config.epochs_of(steps * config.batch_size)
        log.info(
            f"{'an epoch:':<11}{duration(epoch)}; {epochs:,} of them "
            f"{duration(epoch * epochs)}, and what samples, scores and checkpoints take"
        )


def _describe_machine(config, strategy) -> dict[str, str]:
    """{what: text} of all that decides how the steps are computed."""
    gpus, now = xla.gpu_details(), devices.computing(strategy)
    reason = xla.why_no_xla(config.jit, strategy.num_replicas_in_sync, gpus, config.deterministic)
    found = {
        "devices": "; ".join([now["devices"], *map(_describe_gpu, gpus)]),
        "precision": config.precision + ("" if gpus else _advise_precision(config)),
        "XLA": f"off ({reason})" if reason else "on",
    }
    if not gpus:
        found["oneDNN"] = f"{'on' if now['onednn'] else 'off'}, {now['instructions']}"
        found["threads"] = (
            f"{now['intra_op_threads']} within an operation, "
            f"{now['inter_op_threads']} for operations side by side"
        )
    return found | {"versions": ", ".join(_versions())}


def _advise_precision(config):
    if config.precision == "mixed_float16":
        return "; on processors float16 is slower than float32"
    if config.precision != "float32" or not devices.multiplies_bfloat16():
        return ""
    return "; this processor has AMX: --precision mixed_bfloat16 is faster"


def _describe_gpu(details):
    capability = ".".join(map(str, details.get("compute_capability", ["unknown"])))
    return f"{details.get('device_name', 'a GPU')}, compute capability {capability}"


def _versions() -> list[str]:
    """Those of the packages; CUDA's and cuDNN's as built for, and as installed by pip."""
    built = tf.sysconfig.get_build_info()
    found = [f"Python {platform.python_version()}", f"TensorFlow {tf.__version__}"]
    found += [f"Keras {keras.__version__}", f"NumPy {np.__version__}"]
    if built.get("is_cuda_build"):
        cuda, cudnn = (built.get(f"{name}_version", "?") for name in ("cuda", "cudnn"))
        found.append(f"built for CUDA {cuda} and cuDNN {cudnn}")
    installed = {d.name for d in metadata.distributions() if (d.name or "").startswith("nvidia-c")}
    return found + [f"{name} {metadata.version(name)}" for name in sorted(installed)]


def time_steps(config: Config, strategy: tf.distribute.Strategy) -> tuple[float, float]:
    """Seconds of the first two steps, in which TensorFlow compiles, and of the ten after them."""
    with strategy.scope():
        model = DCGAN.from_config(replace(config, init_from=""))
    watch, steps = _StopWatch(), WARM_UP + STEPS
    model.fit(
        share_batches(strategy, config, _draw_batch(config)),
        steps_per_epoch=steps,
        callbacks=CallbackList([watch], add_history=True, model=model, epochs=1, steps=steps),
        verbose=0,
    )
    began, warm, ended = watch.moments
    return warm - began, ended - warm


def _draw_batch(config) -> np.ndarray:
    """uint8 (batch size, height, width, channels): a few faces, again and again."""
    mode, size = "RGB" if config.channels == 3 else "L", (config.image_size,) * 2
    faces = [draw_face(index).convert(mode).resize(size) for index in range(FACES)]
    pixels = np.stack([np.asarray(face) for face in faces]).reshape(FACES, *size, config.channels)
    return pixels[np.arange(config.batch_size) % FACES]


class _StopWatch(keras.callbacks.Callback):
    """Takes the time at the beginning, after the warm-up and at the end, each when all is done."""

    def on_train_begin(self, logs=None):
        self.moments = [time.perf_counter()]

    def on_train_batch_end(self, batch, logs: dict):
        if batch + 1 in (WARM_UP, WARM_UP + STEPS):
            float(logs["g_loss"])  # waits for the device
            self.moments.append(time.perf_counter())
