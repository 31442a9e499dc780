"""Try a training before it begins: its plan, its speed and the faster precision."""

import contextlib
import io
import json
import logging
import math
import time
from dataclasses import replace

import keras
import numpy as np
import tensorflow as tf

from dcgan_tf.common.checkpoints import read_journal
from dcgan_tf.common.config import Config
from dcgan_tf.common.config_file import to_toml
from dcgan_tf.common.errors import UserError
from dcgan_tf.common.labels import Labels, labels_of
from dcgan_tf.common.progress import duration
from dcgan_tf.common.runs import Run
from dcgan_tf.data.labels import make_labels
from dcgan_tf.data.pack import Pack
from dcgan_tf.data.places import find, is_fetched
from dcgan_tf.data.synthetic import draw_face
from dcgan_tf.models import xla
from dcgan_tf.models.gan import DCGAN
from dcgan_tf.models.parts import build_networks, precision_of
from dcgan_tf.train import devices
from dcgan_tf.train.callbacks.control import CallbackList
from dcgan_tf.train.command import Request
from dcgan_tf.train.images import open_images, plan_epoch, warn_of_few
from dcgan_tf.train.machine import best_precision, bfloat16_instructions, describe_machine
from dcgan_tf.train.run_lock import name_run
from dcgan_tf.train.session import share_batches

log = logging.getLogger(__name__)

STEPS, SECONDS = 10, 1.0  # timed by --check: so many steps, and more until it takes so long
TRIAL_STEPS = 2  # at least, in each precision
TRIAL_MARGIN = 1.15  # times as fast must float32 be, to be chosen where bfloat16 has instructions
FACES = 16  # are drawn; the speed does not depend on what is seen


def print_plan(request: Request):
    """Print the resolved config, both networks with Keras' totals, and the plan.

    Raises:
        UserError: devices that are not there; missing data are only named.
    """
    config = request.config
    print(to_toml(config))
    devices.configure(config)
    workers = devices.worker(config)[1]  # a plan does not wait for the others
    where = f"one of {workers} workers"
    where = where if workers > 1 else devices.describe(devices.open_strategy(config))
    for network in plan_networks(request):
        text = io.StringIO()
        network.summary(print_fn=lambda line, text=text: print(line, file=text))
        print(text.getvalue())
    name = name_run(request.config_name, config, request.named)
    print(f"run:      {request.run_dir or f'a new directory runs/NNNN-{name}'}")
    print(f"devices:  {where}, precision {config.precision}")
    print(f"images:   {look_for_images(request)[1]}")


def look_for_images(request: Request) -> tuple[int, str]:
    """Return the steps of an epoch, 0 if unknown, and the images in words."""
    config = request.config
    try:
        if is_fetched(config):
            where = f"{find(config)}, downloaded if needed (not looked at now)"
            return plan_epoch(config, config.subset), where
        config, source, new = request.images or open_images(request)
    except UserError as error:
        return plan_epoch(config, config.subset), f"none: {error.for_command()}"
    count = config.subset or len(source.names)
    if new or not request.run_dir:
        warn_of_few(config, count)
        steps = plan_epoch(config, count)
    else:  # whose epochs are what they were when it began
        steps = read_journal(Run(request.run_dir))["steps_per_epoch"]
    return steps, (
        f"{count:,} of {len(source.names):,}, {source.where}; steps of {config.batch_size}: "
        f"{steps:,} an epoch, {steps * config.epochs_of(steps * config.batch_size):,} in all"
    )


def measure_speed(request: Request):
    """Print what a training with these settings would use, and time its steps.

    With `request.json` all of it is one JSON object on stdout, for a report of a fault.

    Raises:
        UserError: devices that are not there, or a batch that they cannot share.
    """
    config = request.config
    if (workers := devices.worker(config)[1]) > 1:
        log.info(f"one of {workers} workers, timed alone with the whole batch")
        config = replace(config, strategy="none")
    devices.configure(config)
    strategy = devices.open_strategy(config)
    found = describe_machine(config, strategy)
    own = (f"{name} {getattr(config, name)}" for name in sorted(request.named))
    if request.tried:  # what the hardware suggests is no advice any more
        found["precision"] = f"{config.precision} (auto)"
    found["recipe"] = ", ".join([request.config_name or "auto", *own])
    networks = plan_networks(request)
    labels = labels_of(networks[0])
    counts = [f"{network.count_params():,}" for network in networks]
    found["networks"] = f"G {counts[0]} and D {counts[1]} parameters"
    steps, images = look_for_images(request)
    if config.data or not images.startswith("none"):  # else nobody asked for images
        found["images"] = images
    if not request.json:
        for name, text in found.items():
            log.info(f"{name + ':':<11}{text}")
    if config.networks and config.labels and not labels:  # D has as many logits as there are
        if request.json:
            return print(json.dumps(found, indent=2))
        return log.info("no steps are timed: the labels, which your networks need, are not known")
    if not request.json:
        log.info(f"timing steps of {config.batch_size} drawn faces ...")
    first, seconds, _ = time_steps(config, strategy, labels=labels)
    speed = config.batch_size / seconds
    if request.json:
        times = {"images_per_second": speed, "step_seconds": seconds, "first_steps_seconds": first}
        found |= {name: round(value, 4) for name, value in times.items()}
        return print(json.dumps(found, indent=2))
    log.info(
        f"{'speed:':<11}{speed:,.1f} images/s, {1000 * seconds:,.1f} ms a step; "
        f"the first steps took {first:.0f} s"
    )
    if steps:
        epoch, epochs = steps * seconds, config.epochs_of(steps * config.batch_size)
        log.info(
            f"{'an epoch:':<11}{duration(epoch)}; {epochs:,} of them "
            f"{duration(epoch * epochs)}, and what samples, scores and checkpoints take"
        )


def choose_precision(request: Request) -> Request:
    """Put float32 or mixed_bfloat16 in the place of auto: bfloat16 unless a trial is slower.

    Several workers, and networks or a loss from a program, have no trial and take what the hardware
    suggests. A line tells a run in bfloat16 that goes on where this is slow, and a new one in
    float32 that bfloat16 would be faster here.
    """
    config = request.config
    if config.precision == "auto" and request.dry_run:
        return request  # a plan needs no trial
    if config.precision == "auto":
        config = replace(config, precision=_faster_precision(request))
        images = request.images
        if images:
            images = replace(images[0], precision=config.precision), *images[1:]
        return replace(request, config=config, images=images, tried=True)
    if request.run_dir and Run(request.run_dir).config.is_file():
        bfloat16 = config.precision == "mixed_bfloat16"
        if bfloat16 and best_precision(xla.gpu_details()) != config.precision:
            log.warning(
                "this run computes in mixed_bfloat16, which is slow here: it began on a machine "
                "with instructions for it; a new run takes --precision float32"
            )
    elif config.precision == "float32" and "precision" not in request.named:
        units = [] if tf.config.get_visible_devices("GPU") else bfloat16_instructions()
        if units and not (request.dry_run or request.check):
            log.info(
                f"this processor has {', '.join(units)}: --precision mixed_bfloat16 is 1.2 to 2.6 "
                "times as fast as float32, most with wide networks (docs/performance.md)"
            )
    return request


def _faster_precision(request) -> str:
    best, config = best_precision(xla.gpu_details()), request.config
    if best != "mixed_bfloat16":
        log.info("precision: float32 (auto: nothing here is made for bfloat16)")
        return "float32"
    if devices.is_multiworker(config) or request.given or config.networks:
        log.info(f"precision: {best} (auto: this machine is made for it)")
        return best
    log.info(f"precision: trying steps in float32 and in {best} ...")
    speeds = {}
    for name in ("float32", best):
        tried = replace(config, precision=name)
        with precision_of(tried):
            devices.configure(tried)
            *_, seconds = time_steps(tried, devices.open_strategy(tried), TRIAL_STEPS)
            keras.utils.clear_session()  # layers are counted anew; it drops a program's precision
        speeds[name] = config.batch_size / seconds
    # The margin is for noise: equal commands on one machine should train equally.
    chosen = "float32" if speeds["float32"] > TRIAL_MARGIN * speeds[best] else best
    shown = ", ".join(f"{name} {speed:,.1f}" for name, speed in speeds.items())
    log.info(f"precision: {chosen} (auto; images/s: {shown})")
    return chosen


def plan_networks(request: Request) -> tuple[keras.Model, keras.Model]:
    """Build the networks of a request; labels of images that are not there yet are left out."""
    config, labels = request.config, None
    with contextlib.suppress(UserError):
        if config.labels and not is_fetched(config):
            source = (request.images or open_images(request))[1]
            labels = source.labels if isinstance(source, Pack) else make_labels(config, source)
    return build_networks(config if labels else replace(config, labels=""), None, labels)


def time_steps(
    config: Config,
    strategy: tf.distribute.Strategy,
    steps: int = STEPS,
    seconds: float = SECONDS,
    labels: Labels | None = None,
) -> tuple[float, float, float]:
    """Time drawn faces: seconds of the first steps, of one after them, and of the fastest ones.

    In the first ones TensorFlow compiles and, on a GPU, chooses algorithms and raises its clock;
    after them at least `steps` steps and `seconds` are timed. Without `labels`, those of the config
    are left out, which makes no difference that can be measured.
    """
    with strategy.scope():
        timed = replace(config, init_from="", labels=config.labels if labels else "")
        model = DCGAN.from_config(timed, labels=labels)
    rows = np.zeros((config.batch_size, labels.n), np.uint8) if labels else None
    warm_up = 20 if tf.config.list_logical_devices("GPU") else 2
    watch, most = _StopWatch(warm_up, steps, seconds), 10**9
    model.fit(
        share_batches(strategy, config, _draw_batch(config), labels=rows),
        steps_per_epoch=most,
        callbacks=CallbackList([watch], add_history=True, model=model, epochs=1, steps=most),
        verbose=0,
    )
    return watch.first, watch.step, watch.fastest


def _draw_batch(config) -> np.ndarray:
    """uint8 (batch size, height, width, channels): a few faces, again and again."""
    mode, size = "RGB" if config.channels == 3 else "L", (config.image_size,) * 2
    faces = [draw_face(index).convert(mode).resize(size) for index in range(FACES)]
    pixels = np.stack([np.asarray(face) for face in faces]).reshape(FACES, *size, config.channels)
    return pixels[np.arange(config.batch_size) % FACES]


class _StopWatch(keras.callbacks.Callback):
    """Measure seconds of the warm-up (`first`) and of a `step` after it, and end the training.

    `step` is the mean, `fastest` the mean of the fastest part, which other programs disturb least.
    """

    def __init__(self, warm_up, steps, seconds):
        super().__init__()
        self._warm_up, self._next, self._seconds = warm_up, warm_up + steps, seconds
        self.fastest = math.inf

    def on_train_begin(self, logs=None):
        self._began = time.perf_counter()

    def on_train_batch_end(self, batch, logs: dict):
        done = batch + 1
        if done not in (self._warm_up, self._next):
            return
        float(logs["g_loss"])
        taken = time.perf_counter() - self._began
        if done == self._warm_up:
            self.first, self._began = taken, time.perf_counter()
            self._last = done, self._began
            return
        now, (then_done, then) = time.perf_counter(), self._last
        self.step = taken / (done - self._warm_up)
        self.fastest = min(self.fastest, (now - then) / (done - then_done))
        self._last = done, now
        self._next += done - self._warm_up  # looked at seldom: each look makes the device wait
        if self.model and taken >= self._seconds:
            self.model.stop_training = True
