"""Training from the request to the last picture, on one screen."""

import logging

import numpy as np
import tensorflow as tf

from dcgan_tf.common import checkpoints
from dcgan_tf.common.config import fixed_fields
from dcgan_tf.common.errors import (
    WORKER_LOST,
    Interrupted,
    UserError,
    describe,
    is_file_system_error,
)
from dcgan_tf.common.images import grid, save_png
from dcgan_tf.data.pack import open_pack
from dcgan_tf.data.pipeline import batches, steps_per_epoch
from dcgan_tf.data.sources import open_source
from dcgan_tf.train import build, claim, devices
from dcgan_tf.train.build import build_model, warm_start
from dcgan_tf.train.signals import StopRequest

log = logging.getLogger(__name__)


def train(request):
    """Do what a command line asks for.

    Args:
        request: flags.Request.

    Returns:
        int: exit code; 0 when all epochs are done, 128 + signal after a signal.

    Raises:
        UserError: bad input, another owner of the run, losses that became NaN, a lost worker.
    """
    config = request.config
    number, workers = devices.worker(config)
    own = claim.claim(request) if number == 0 else claim.join(request)
    with StopRequest() as stop, own as run:
        found = checkpoints.read_newest(run.checkpoints)
        if found and found[1].epoch >= config.epochs:
            done = found[1].epoch
            log.info(f"{run.root} is finished: {done} epochs. A larger --epochs extends it.")
            return 0
        if number == 0:
            claim.save_config(run, config)
        source = open_source(config)
        devices.prepare(config)
        strategy = devices.open_strategy(config)
        with strategy.scope():
            model = build_model(config, strategy)
        if not found:
            warm_start(config, model)
        pack = open_pack(config, source)
        journal = _journal(config, pack, found)
        if workers > 1:
            devices.check_agreement(
                strategy,
                config=f"{fixed_fields(config)}, {config.epochs} epochs",
                pictures=journal.pixels_sha256,
                step=str(journal.step),
            )
        state = found and found[0]
        if state:
            checkpoints.restore(model, state)
            log.info(f"going on after step {journal.step} (epoch {journal.epoch} done)")
        kept = build.standard(
            run,
            config,
            journal,
            model,
            stop,
            pack,
            source,
            restored=state,
            chief=number == 0,
            workers=workers,
        )
        if number == 0:
            save_png(run.reals, grid(np.asarray(pack.pixels[:64])))
        log.info(f"training in {run.root} on {devices.describe(strategy)}")
        log.info(f"to stop: Ctrl-C; to go on later: {_resume_command(run)}")
        stop.defer()
        try:
            _fit(model, strategy, config, pack, journal, kept)
        except Interrupted as interruption:
            log.info(f"saved at step {journal.step} (epoch {journal.epoch} done)")
            log.info(f"to go on: {_resume_command(run)}")
            return interruption.code
        except _LOST:
            if workers == 1:
                raise
            raise UserError(_lost_message(run), code=WORKER_LOST) from None
        except OSError as error:
            if not is_file_system_error(error):
                raise
            raise UserError(f"{run.root}: {describe(error)}; {_last_checkpoint(run)}") from None
        if workers > 1:  # nobody leaves before all have come here: leaving looks like an error
            devices.check_agreement(strategy, step=str(journal.step))
        log.info(f"done: {config.epochs} epochs in {run.root}")
        log.info(f"next: python generate.py --run {run.root} --n 64")
        return 0


# What TensorFlow raises in a collective operation when another worker is gone.
_LOST = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.InternalError,
)


def _lost_message(run):
    return (
        f"another worker has ended; {_last_checkpoint(run)}; "
        "start all workers again with the same command to go on from there"
    )


def _last_checkpoint(run):
    good = checkpoints.files(run.checkpoints)
    return f"the last checkpoint is {good[-1]}" if good else "there is no checkpoint yet"


def _journal(config, pack, found):
    """The journal to go on with: a new one, or the checkpoint's if its data are still the same."""
    count, pixels_sha256 = len(pack.pixels), pack.manifest["pixels_sha256"]
    steps = steps_per_epoch(count, config.batch_size)
    if not steps:
        raise UserError(
            f"--batch-size {config.batch_size}: larger than the data, {count} pictures; "
            f"use {count} or fewer"
        )
    if not found:
        return checkpoints.Journal(steps, pixels_sha256)
    if found[1].pixels_sha256 != pixels_sha256:
        raise UserError(
            f"--data {pack.manifest['where']}: other pictures than this run was trained on; "
            "give it the same ones, or start a new run with --init-from"
        )
    return found[1]


def _resume_command(run):
    return f"python train.py --run {run.root}"


def _fit(model, strategy, config, pack, journal, kept):
    """Keras' fit from the journal's step to the end.

    An epoch that was broken off is finished first, in a fit of its own, for Keras can begin only at
    the start of an epoch.
    """
    broken_off = journal.step % journal.steps_per_epoch
    if broken_off:
        _fit_epochs(model, strategy, config, pack, journal, kept, journal.epoch + 1, broken_off)
    if journal.epoch < config.epochs:
        _fit_epochs(model, strategy, config, pack, journal, kept, config.epochs)


def _fit_epochs(model, strategy, config, pack, journal, kept, last, broken_off=0):
    def share(context):
        """This worker's elements: one for each of its devices, in the order of the devices."""
        shards = strategy.num_replicas_in_sync
        own = shards // context.num_input_pipelines
        return batches(
            pack.pixels,
            batch_size=config.batch_size,
            seed=config.seed,
            first_step=journal.step,
            shards=shards,
            first_shard=own * context.input_pipeline_id,
            own_shards=own,
        )

    data = strategy.distribute_datasets_from_function(share)
    model.fit(
        data,
        initial_epoch=journal.epoch,
        epochs=last,
        steps_per_epoch=journal.steps_per_epoch - broken_off,
        shuffle=False,  # done by pipeline.batches
        callbacks=kept,
        verbose=0,
    )
