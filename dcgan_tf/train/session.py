"""The state of one training, and Keras' fit on it."""

import logging
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from dcgan_tf.common import checkpoints
from dcgan_tf.common.checkpoints import Journal
from dcgan_tf.common.config import Config, fixed_fields
from dcgan_tf.common.errors import UserError
from dcgan_tf.common.runs import Run
from dcgan_tf.data.pack import Pack, open_pack
from dcgan_tf.data.pipeline import batches
from dcgan_tf.models.gan import DCGAN
from dcgan_tf.models.optimizers import learning_rate_of
from dcgan_tf.train import changes, devices
from dcgan_tf.train.callbacks.control import CallbackList
from dcgan_tf.train.command import Request
from dcgan_tf.train.images import check_count, open_images, plan_epoch, warn_of_few
from dcgan_tf.train.init_from import warm_start
from dcgan_tf.train.signals import StopRequest

log = logging.getLogger(__name__)

Found = tuple[dict[str, np.ndarray], Journal] | None  # from checkpoints.read_newest


@dataclass(frozen=True)
class Session:
    """One training: its run directory, its devices, its model and its data."""

    run: Run
    config: Config
    stop: StopRequest
    strategy: tf.distribute.Strategy
    model: DCGAN
    pack: Pack
    journal: Journal  # updated while it trains
    restored: dict[str, np.ndarray] | None  # the checkpoint to resume from; None for a new run
    changes: list[dict[str, Any]]
    number: int  # of this process; the first, the chief, writes the files
    workers: int

    @property
    def chief(self) -> bool:
        return self.number == 0

    def fit(self, callbacks: list[keras.callbacks.Callback]):
        """Train from the journal's step to the last epoch.

        An interrupted epoch is finished first, in a separate fit, because Keras can begin only at
        the start of an epoch.
        """
        journal, model, config = self.journal, self.model, self.config
        epochs = config.epochs_of(journal.steps_per_epoch * config.batch_size)
        for last in (journal.epoch + 1, epochs) if journal.done_in_epoch else (epochs,):
            if journal.epoch >= last or model.stop_training:
                return
            steps = journal.steps_per_epoch - journal.done_in_epoch
            params = {"model": model, "verbose": 0, "epochs": epochs, "steps": steps}
            # A resume may find a pack of the same images that has labels for another run.
            rows = self.pack.rows if config.labels else None
            model.fit(
                share_batches(self.strategy, config, self.pack.pixels, journal.step, rows),
                initial_epoch=journal.epoch,
                epochs=last,
                steps_per_epoch=steps,
                callbacks=CallbackList(callbacks, journal=journal, add_history=True, **params),
                verbose=0,
            )

    def meet(self, **values: str):
        """Wait for the other workers; raise UserError unless all have the same values."""
        if self.workers > 1:
            devices.check_agreement(self.strategy, **values)


def share_batches(
    strategy: tf.distribute.Strategy, config: Config, pixels, first_step: int = 0, labels=None
):
    """Distribute the batches from a step on: each device gets its contiguous part of a batch."""
    shards = strategy.num_replicas_in_sync

    def share(context):
        count = shards // context.num_input_pipelines
        first = count * context.input_pipeline_id
        return batches(
            pixels,
            batch_size=config.batch_size,
            seed=config.seed,
            first_step=first_step,
            shards=shards,
            own=range(first, first + count),
            labels=labels,
        )

    return strategy.distribute_datasets_from_function(share)


def open_session(
    request: Request, run: Run, stop: StopRequest, worker: tuple[int, int], found: Found
) -> Session:
    """Prepare everything that a training needs, on disk and in memory.

    Args:
        worker: number of this process, and number of processes.
        found: the newest checkpoint; None for a new run.

    Raises:
        UserError: no data, other data than in the checkpoint, missing devices, networks that do not
            match `--init-from`, or workers that differ.
    """
    config = request.config
    step, epoch = (found[1].step, found[1].epoch) if found else (0, 0)
    planned = changes.collect(run.config, config, step, epoch, found[1].settings if found else {})
    config, source, _ = request.images or open_images(request)
    devices.configure(config)
    strategy = devices.open_strategy(config)
    stop.install()  # with several workers TensorFlow has put its own handler for SIGTERM
    # The networks of labels need their number, so the images are prepared first.
    pack = open_pack(config, source, labeled=True) if config.labels else None
    given = request.given | ({"labels": pack.labels} if pack else {})
    with strategy.scope():
        model = DCGAN.from_config(replace(config, init_from=""), **given)
    if not found:
        warm_start(config, model)
    pack = pack or open_pack(config, source)
    journal = _open_journal(config, pack, found)
    restored = found[0] if found else None
    session = Session(run, config, stop, strategy, model, pack, journal, restored, planned, *worker)
    session.meet(
        precision=config.precision,
        config=f"{fixed_fields(config)}, {config.epochs}, {config.images}, {planned}",
        images=journal.pixels_sha256 + journal.labels_sha256,
        step=str(step),
    )
    if restored:
        checkpoints.restore(model, restored)
        log.info(f"resuming at step {step} (epochs done: {epoch})")
        for change in (change for change in planned if change["step"] == step):
            name, old, new = (change[key] for key in ("setting", "old", "new"))
            log.info(f"from step {step} (epochs done: {epoch}) on: {name} {old} -> {new}")
            optimizer = model.g_optimizer if name == "g_learning_rate" else model.d_optimizer
            optimizer.learning_rate = learning_rate_of(config, new)  # the restored one is the old
    before, now = journal.computing, devices.computing(strategy)
    pairs = [f"{n} {before[n]} -> {now[n]}" for n in now if before.get(n, now[n]) != now[n]]
    if pairs:
        log.warning(
            f"computed in another way than before ({'; '.join(pairs)}); "
            "from here on the bits may differ from those of an uninterrupted run"
        )
    journal.computing = now
    return session


def _open_journal(config: Config, pack: Pack, found: Found) -> Journal:
    """Make a new journal, or take that of the checkpoint if its data are the same."""
    count, pixels_sha256 = len(pack.pixels), pack.manifest["pixels_sha256"]
    check_count(config, count, pack.where, new=not found)
    if not found:
        warn_of_few(config, count)
        more = {"settings": fixed_fields(config), "labels_sha256": pack.labels_sha256}
        return Journal(plan_epoch(config, count), pixels_sha256, images=count, **more)
    journal = found[1]
    if journal.pixels_sha256 != pixels_sha256:
        raise UserError(
            "other images than this run was trained on; use the same images, or start a new run "
            "with --init-from",
            flag=f"--data {pack.manifest['where']}",
        )
    if config.labels and journal.labels_sha256 != pack.labels_sha256:
        raise UserError(
            "other labels than this run was trained on; use the same ones, or start a new run with "
            "--init-from",
            flag=f"--labels {config.labels}",
        )
    journal.settings, journal.images = fixed_fields(config), count
    return journal
