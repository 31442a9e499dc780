"""The state of one training, and Keras' fit on it."""

import logging
import shutil
from dataclasses import dataclass, replace

import keras
import numpy as np
import tensorflow as tf

from dcgan_tf.common import checkpoints, limits
from dcgan_tf.common.checkpoints import Journal
from dcgan_tf.common.config import Config, bound_fields, fixed_fields
from dcgan_tf.common.errors import UserError
from dcgan_tf.common.runs import Run
from dcgan_tf.data.pack import Pack, open_pack
from dcgan_tf.data.pipeline import batches, steps_per_epoch
from dcgan_tf.models.gan import DCGAN
from dcgan_tf.train import changes, devices
from dcgan_tf.train.callbacks.control import CallbackList
from dcgan_tf.train.command import Request
from dcgan_tf.train.images import check_count, open_images, warn_of_few
from dcgan_tf.train.init_from import warm_start
from dcgan_tf.train.signals import StopRequest

log = logging.getLogger(__name__)

Found = tuple[dict[str, np.ndarray], Journal] | None  # what checkpoints.read_newest returns


@dataclass(frozen=True)
class Session:
    """One training: its run directory, its devices, its model and its data.

    Attributes:
        journal: how far it has come; counts on while it trains.
        restored: the state of the checkpoint that it resumes from, None at the start.
        changes: of learning rates, at earlier steps and at later ones.
        number, workers: which of how many processes this one is.
    """

    run: Run
    config: Config
    stop: StopRequest
    strategy: tf.distribute.Strategy
    model: DCGAN
    pack: Pack
    journal: Journal
    restored: dict[str, np.ndarray] | None
    changes: list[changes.Change]
    number: int
    workers: int

    @property
    def chief(self) -> bool:
        """Whether this process is the one that writes."""
        return self.number == 0

    def fit(self, callbacks: list[keras.callbacks.Callback]):
        """Train from the journal's step to the last epoch.

        An epoch that was interrupted is finished first, in a fit of its own, for Keras can begin
        only at the start of an epoch.
        """
        done = self.journal.step % self.journal.steps_per_epoch
        if done:
            self.fit_epochs(callbacks, self.journal.epoch + 1, done)
        if self.journal.epoch < self.config.epochs and not self.model.stop_training:
            self.fit_epochs(callbacks, self.config.epochs)

    def fit_epochs(self, callbacks: list[keras.callbacks.Callback], last: int, done: int = 0):
        """Keras' fit up to epoch `last`; `done` steps of the first epoch are done already."""
        steps = self.journal.steps_per_epoch - done
        params = {"model": self.model, "verbose": 0, "epochs": last, "steps": steps}
        self.model.fit(
            share_batches(self.strategy, self.config, self.pack.pixels, self.journal.step),
            initial_epoch=self.journal.epoch,
            epochs=last,
            steps_per_epoch=steps,
            callbacks=CallbackList(callbacks, add_history=True, **params),
            verbose=0,
        )

    def meet(self, **values: str):
        """Wait for the other workers, and raise UserError unless all have the same values."""
        if self.workers > 1:
            devices.check_agreement(self.strategy, **values)


def share_batches(strategy: tf.distribute.Strategy, config: Config, pixels, first_step: int = 0):
    """The batches from a step on, each device's part of them in the order of the devices."""
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
        )

    return strategy.distribute_datasets_from_function(share)


def open_session(
    request: Request, run: Run, stop: StopRequest, worker: tuple[int, int], found: Found
) -> Session:
    """Prepare everything that a training needs, on disk and in memory.

    Args:
        worker: this process' number, and how many there are.
        found: the newest checkpoint, None at the start.

    Raises:
        UserError: no data, other data than the checkpoint's, devices that are not there, networks
            of another shape than `--init-from`'s, no room for a checkpoint, workers that differ.
    """
    config, (number, workers) = request.config, worker
    step, epoch = (found[1].step, found[1].epoch) if found else (0, 0)
    planned = changes.collect(run.config, config, step, epoch)
    config, source, _ = request.images or open_images(request)
    devices.configure(config)
    strategy = devices.open_strategy(config)
    with strategy.scope():
        model = DCGAN.from_config(replace(config, init_from=""), **request.given)
    if not found:
        warm_start(config, model)
    if number == 0:
        _check_room(run, model)
    pack = open_pack(config, source)
    journal = _open_journal(config, pack, found)
    restored = found[0] if found else None
    session = Session(
        run, config, stop, strategy, model, pack, journal, restored, planned, number, workers
    )
    session.meet(
        config=f"{fixed_fields(config)}, {config.epochs} epochs, {planned}",
        images=journal.pixels_sha256,
        step=str(step),
    )
    if restored:
        checkpoints.restore(model, restored)
        log.info(f"resuming at step {step} (epochs done: {epoch})")
        for change in planned:
            if change.step >= step:
                log.info(
                    f"from step {change.step} (epochs done: {change.epoch}) on: "
                    f"{change.setting} {change.old} -> {change.new}"
                )
    _record_computing(journal, devices.computing(strategy))
    return session


def _check_room(run, model):
    """Raise UserError where not even one checkpoint fits on the disk."""
    size = sum(variable.numpy().nbytes for variable in checkpoints.variables(model).values())
    free = shutil.disk_usage(run.root).free
    if free < size:
        raise UserError(
            f"a checkpoint needs {limits.in_words(size)}, {limits.in_words(free)} are free; "
            "free some or name another disk",
            flag=f"--run {run.root}",
        )


def _open_journal(config: Config, pack: Pack, found: Found) -> Journal:
    """A new journal, or the checkpoint's if its data are still the same."""
    count, pixels_sha256 = len(pack.pixels), pack.manifest["pixels_sha256"]
    check_count(config, count, pack.where, new=not found)
    if not found:
        warn_of_few(config, count)
        steps = steps_per_epoch(count, config.batch_size)
        return Journal(steps, pixels_sha256, settings=bound_fields(config))
    journal = found[1]
    if journal.pixels_sha256 != pixels_sha256:
        raise UserError(
            "other images than this run was trained on; give it the same ones, or start a new run "
            "with --init-from",
            flag=f"--data {pack.manifest['where']}",
        )
    journal.settings = bound_fields(config)
    return journal


def _record_computing(journal, now):
    """Put into the journal what decides the bits; name what is not as it was."""
    before, journal.computing = journal.computing, now
    changed = [name for name in now if before.get(name, now[name]) != now[name]]
    if changed:
        pairs = "; ".join(f"{name} {before[name]} -> {now[name]}" for name in changed)
        log.warning(
            f"not computed as before ({pairs}); "
            "from here on the bits may differ from those of an uninterrupted run"
        )
