"""--check: show what a training would run on and how fast, without data."""

import logging
import platform
import time
from dataclasses import replace
from importlib import metadata

import keras
import numpy as np
import tensorflow as tf

from dcgan_tf.common.progress import duration
from dcgan_tf.data.pipeline import batches, steps_per_epoch
from dcgan_tf.data.synthetic import draw_face
from dcgan_tf.models import xla
from dcgan_tf.models.gan import DCGAN
from dcgan_tf.train import computing, devices
from dcgan_tf.train.callbacks.control import CallbackList
from dcgan_tf.train.dry_run import look_for_images

log = logging.getLogger(__name__)

WARM_UP, STEPS = 2, 10
FACES = 16  # are drawn; the speed does not depend on what is seen


def check(request):
    """Print what a training with these settings would use, time ten steps, and write nothing.

    Args:
        request: command.Request, checked by command.check_request.

    Raises:
        UserError: devices that are not there, or a batch that they cannot share.
    """
    config = request.config
    devices.prepare(config)
    strategy = devices.open_strategy(config)
    for name, text in _found(config, strategy).items():
        log.info(f"{name + ':':<11}{text}")
    count, words = look_for_images(request)
    log.info(f"{'images:':<11}{words}")
    log.info(f"timing {STEPS} steps of {config.batch_size} drawn faces ...")
    first, seconds = _time_steps(config, strategy)
    speed = STEPS * config.batch_size / seconds
    log.info(f"{'speed:':<11}{speed:,.1f} images/s; the first steps took {first:.0f} s")
    if count:
        epoch = steps_per_epoch(count, config.batch_size) * seconds / STEPS
        log.info(
            f"{'an epoch:':<11}{duration(epoch)}; {config.epochs:,} of them "
            f"{duration(epoch * config.epochs)}, and what samples, scores and checkpoints take"
        )


def _found(config, strategy):
    """{what: text} of all that decides how the steps are computed."""
    gpus, now = xla.gpu_details(), computing.computing(strategy)
    reason = xla.why_no_xla(config.jit, strategy.num_replicas_in_sync, gpus)
    found = {
        "devices": "; ".join([now["devices"], *map(_gpu_words, gpus)]),
        "precision": config.precision + ("" if gpus else _faster(config)),
        "XLA": f"off ({reason})" if reason else "on",
    }
    if not gpus:
        found["oneDNN"] = f"{'on' if now['onednn'] else 'off'}, {now['instructions']}"
        found["threads"] = (
            f"{now['intra_op_threads']} within an operation, "
            f"{now['inter_op_threads']} for operations side by side"
        )
    return found | {"versions": ", ".join(_versions())}


def _faster(config):
    if config.precision == "mixed_float16":
        return "; on processors float16 is slower than float32"
    if config.precision != "float32" or not computing.multiplies_bfloat16():
        return ""
    return "; this processor has AMX: --precision mixed_bfloat16 is faster"


def _gpu_words(details):
    capability = ".".join(map(str, details.get("compute_capability", ["unknown"])))
    return f"{details.get('device_name', 'a GPU')}, compute capability {capability}"


def _versions():
    """list[str]: of the packages; CUDA's and cuDNN's as built for, and as installed by pip."""
    built = tf.sysconfig.get_build_info()
    found = [f"Python {platform.python_version()}", f"TensorFlow {tf.__version__}"]
    found += [f"Keras {keras.__version__}", f"NumPy {np.__version__}"]
    if built.get("is_cuda_build"):
        cuda, cudnn = (built.get(f"{name}_version", "?") for name in ("cuda", "cudnn"))
        found.append(f"built for CUDA {cuda} and cuDNN {cudnn}")
    installed = {d.name for d in metadata.distributions() if (d.name or "").startswith("nvidia-c")}
    return found + [f"{name} {metadata.version(name)}" for name in sorted(installed)]


def _time_steps(config, strategy):
    """float, float: seconds of the first two steps, in which TensorFlow compiles; of the ten."""
    with strategy.scope():
        model = DCGAN.from_config(replace(config, init_from=""))
    pixels, shards = _drawn(config), strategy.num_replicas_in_sync

    def share(context):
        count = shards // context.num_input_pipelines
        first = count * context.input_pipeline_id
        own = range(first, first + count)
        size, seed = config.batch_size, config.seed
        return batches(pixels, batch_size=size, seed=seed, shards=shards, own=own)

    watch = _StopWatch()
    steps = WARM_UP + STEPS
    model.fit(
        strategy.distribute_datasets_from_function(share),
        steps_per_epoch=steps,
        callbacks=CallbackList([watch], add_history=True, model=model, epochs=1, steps=steps),
        verbose=0,
    )
    began, warm, ended = watch.moments
    return warm - began, ended - warm


def _drawn(config):
    """uint8 (batch size, height, width, channels): a few faces, again and again."""
    mode, size = "RGB" if config.channels == 3 else "L", (config.image_size,) * 2
    faces = [draw_face(index).convert(mode).resize(size) for index in range(FACES)]
    pixels = np.stack([np.asarray(face) for face in faces]).reshape(FACES, *size, config.channels)
    return pixels[np.arange(config.batch_size) % FACES]


class _StopWatch(keras.callbacks.Callback):
    """Takes the time at the beginning, after the warm-up and at the end, each when all is done."""

    def on_train_begin(self, logs=None):
        self.moments = [time.perf_counter()]

    def on_train_batch_end(self, batch, logs=None):
        if batch + 1 in (WARM_UP, WARM_UP + STEPS):
            float(logs["g_loss"])  # waits for the device
            self.moments.append(time.perf_counter())
