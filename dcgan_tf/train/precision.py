"""Decide what `precision = "auto"` becomes on this machine."""

import logging
from dataclasses import replace

import keras

from dcgan_tf.common.runs import Run
from dcgan_tf.models import xla
from dcgan_tf.models.parts import precision_of
from dcgan_tf.train import devices
from dcgan_tf.train.command import Request
from dcgan_tf.train.dry_run import time_steps
from dcgan_tf.train.machine import best_precision

log = logging.getLogger(__name__)

STEPS = 2  # of the trial


def choose_precision(request: Request) -> Request:
    """Put float32 or mixed_bfloat16 in the place of auto: the faster one in a trial.

    Several workers, and networks or a loss from a program, have no trial and take what the hardware
    suggests. Where a run goes on with bfloat16 on a machine that lacks it, a line says so.
    """
    config = request.config
    if config.precision == "auto":
        chosen = {"precision": _choose(request)}
        images = request.images and (replace(request.images[0], **chosen), *request.images[1:])
        return replace(request, config=replace(config, **chosen), images=images)
    there = request.run_dir and Run(request.run_dir).config.is_file()
    if there and config.precision == "mixed_bfloat16" and _best() != config.precision:
        log.warning(
            "this run computes in mixed_bfloat16, which is slow here: it began on a machine with "
            "instructions for it; a new run takes --precision float32"
        )
    return request


def _best() -> str:
    return best_precision(xla.gpu_details())


def _choose(request) -> str:
    best, config = _best(), request.config
    if best != "mixed_bfloat16":
        log.info("precision: float32 (auto: nothing here is made for bfloat16)")
        return "float32"
    if devices.is_multiworker(config) or request.given or config.networks:
        log.info(f"precision: {best} (auto: this machine is made for it)")
        return best
    log.info(f"precision: trying {STEPS} steps in float32 and in {best} ...")
    speeds = {name: config.batch_size / _time(config, name) for name in ("float32", best)}
    chosen = max(speeds, key=lambda name: speeds[name])
    told = ", ".join(f"{name} {speed:,.1f}" for name, speed in speeds.items())
    log.info(f"precision: {chosen} (auto; images/s: {told})")
    return chosen


def _time(config, precision) -> float:
    config = replace(config, precision=precision)
    with precision_of(config):
        devices.configure(config)
        _, seconds = time_steps(config, devices.open_strategy(config), STEPS, seconds=0)
    keras.utils.clear_session()  # layers are counted anew
    return seconds
