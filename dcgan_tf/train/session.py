"""The state of one training, and Keras' fit on it."""

import logging
import shutil
from dataclasses import dataclass, replace

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
from dcgan_tf.train.build import settle, warm_start
from dcgan_tf.train.callbacks.control import CallbackList
from dcgan_tf.train.computing import computing
from dcgan_tf.train.images import check_count, open_images, warn_of_few
from dcgan_tf.train.signals import StopRequest

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Session:
    """One training.

    Attributes:
        run, config: where it writes, and its settings.
        stop: the wish to stop, looked at after every step.
        strategy: of the devices that share the work.
        model: built, with the first weights or those of the checkpoint.
        pack: the pictures.
        journal: how far it has come; counts on while it trains.
        restored: the state of the checkpoint that it goes on from, None at the start.
        plan: the changes of settings, of earlier steps and of later ones (see changes.py).
        number, workers: which of how many processes this one is.
    """

    run: Run
    config: Config
    stop: StopRequest
    strategy: tf.distribute.Strategy
    model: DCGAN
    pack: Pack
    journal: Journal
    restored: dict | None
    plan: list[changes.Change]
    number: int
    workers: int

    @property
    def chief(self) -> bool:
        """Whether this process is the one that writes."""
        return self.number == 0

    def fit(self, kept: list):
        """Train from the journal's step to the last epoch with these callbacks.

        An epoch that was broken off is finished first, in a fit of its own, for Keras can begin
        only at the start of an epoch.
        """
        broken_off = self.journal.step % self.journal.steps_per_epoch
        if broken_off:
            self._fit_epochs(kept, self.journal.epoch + 1, broken_off)
        if self.journal.epoch < self.config.epochs and not self.model.stop_training:
            self._fit_epochs(kept, self.config.epochs)

    def meet(self, **values: str):
        """Wait for the other workers, and raise UserError unless all have the same values."""
        if self.workers > 1:
            devices.check_agreement(self.strategy, **values)

    def _fit_epochs(self, kept, last, broken_off=0):
        steps = self.journal.steps_per_epoch - broken_off
        told = {"model": self.model, "verbose": 0, "epochs": last, "steps": steps}
        self.model.fit(
            self.strategy.distribute_datasets_from_function(self._share),
            initial_epoch=self.journal.epoch,
            epochs=last,
            steps_per_epoch=steps,
            callbacks=CallbackList(kept, add_history=True, **told),
            verbose=0,
        )

    def _share(self, context):
        """This worker's elements: one for each of its devices, in the order of the devices."""
        shards = self.strategy.num_replicas_in_sync
        count = shards // context.num_input_pipelines
        first = count * context.input_pipeline_id
        return batches(
            self.pack.pixels,
            batch_size=self.config.batch_size,
            seed=self.config.seed,
            first_step=self.journal.step,
            shards=shards,
            own=range(first, first + count),
        )


def open_session(request, run: Run, stop: StopRequest, worker: tuple[int, int], found) -> Session:
    """Everything that a training needs, on disk and in memory.

    Args:
        request: command.Request.
        worker: devices.worker: this process' number, and how many there are.
        found: checkpoints.read_newest.

    Raises:
        UserError: no data, other data than the checkpoint's, devices that are not there, networks
            of another shape than `--init-from`'s, no room for a checkpoint, workers that differ.
    """
    config, (number, workers) = request.config, worker
    step, epoch = (found[1].step, found[1].epoch) if found else (0, 0)
    plan = changes.planned(run.config, config, step, epoch)
    config, source, _ = request.images or open_images(request)
    devices.prepare(config)
    strategy = devices.open_strategy(config)
    with strategy.scope():
        started = changes.at(config, plan, step)
        model = DCGAN.from_config(replace(started, init_from=""), **request.given)
    if not found:
        warm_start(config, model)
    if number == 0:
        _check_room(run, model)
    pack = open_pack(config, source)
    journal, restored = _journal(config, pack, found), found and found[0]
    session = Session(
        run=run,
        config=config,
        stop=stop,
        strategy=strategy,
        model=model,
        pack=pack,
        journal=journal,
        restored=restored,
        plan=plan,
        number=number,
        workers=workers,
    )
    session.meet(**_decisive(session))
    if restored:
        _go_on(session)
    _record_computing(journal, computing(strategy))
    return session


def _decisive(session):
    """{what: text} of all that must be the same on every worker."""
    config, journal = session.config, session.journal
    return {
        "config": f"{fixed_fields(config)}, {config.epochs} epochs, {session.plan}",
        "pictures": journal.pixels_sha256,
        "step": str(journal.step),
    }


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


def _go_on(session):
    """Take the checkpoint's state, and say from where training goes on and what is new there."""
    journal, step = session.journal, session.journal.step
    checkpoints.restore(session.model, session.restored)
    settle(session.model, changes.at(session.config, session.plan, step))  # the state has old rates
    log.info(f"going on after step {step} (epochs done: {journal.epoch})")
    for change in session.plan:
        if change.step >= step:
            log.info(
                f"from step {change.step} (epochs done: {change.epoch}) on: "
                f"{change.setting} {change.old} -> {change.new}"
            )


def _journal(config, pack, found):
    """The journal to go on with: a new one, or the checkpoint's if its data are still the same."""
    count, pixels_sha256 = len(pack.pixels), pack.manifest["pixels_sha256"]
    check_count(config, count, pack.where, new=not found)
    if not found:
        warn_of_few(config, count)
        steps = steps_per_epoch(count, config.batch_size)
        return checkpoints.Journal(steps, pixels_sha256, settings=bound_fields(config))
    if found[1].pixels_sha256 != pixels_sha256:
        raise UserError(
            f"--data {pack.manifest['where']}: other pictures than this run was trained on; "
            "give it the same ones, or start a new run with --init-from"
        )
    found[1].settings = bound_fields(config)
    return found[1]


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
