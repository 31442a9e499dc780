"""The callbacks of a training, in the order in which one needs the other."""

from types import SimpleNamespace

import keras

from dcgan_tf.common.checkpoints import Journal
from dcgan_tf.common.config import Config
from dcgan_tf.common.runs import Run
from dcgan_tf.metrics import collapse
from dcgan_tf.models import parts
from dcgan_tf.train.callbacks.checkpoint import Checkpoint, RestoreMeans
from dcgan_tf.train.callbacks.control import (
    LearningRates,
    StepCounter,
    Stop,
    StopAtNaN,
    SyncSchedule,
)
from dcgan_tf.train.callbacks.logs import MetricsLog, TensorBoardLog, TrainingWarnings
from dcgan_tf.train.callbacks.loss_plot import LossPlot
from dcgan_tf.train.callbacks.progress import Pace, ProgressBar
from dcgan_tf.train.callbacks.samples import ProgressGif, SampleGrid
from dcgan_tf.train.callbacks.scores import Scores, training_scorer
from dcgan_tf.train.session import Session


def build_callbacks(session: Session, own=()) -> list[keras.callbacks.Callback]:
    """The callbacks of a session; `own` are those of a user's program."""
    run, journal, stop, config = session.run, session.journal, session.stop, session.config
    sync = SyncSchedule(config.checkpoint_steps, session.workers)
    images = build_images(run, config, journal, sync) if session.chief else []
    return [
        RestoreMeans(journal, session.restored),
        LearningRates(journal, config, session.changes),
        # Moves `journal.step` and `sync`, which all others read.
        StepCounter(journal, stop, sync, session.workers),
        # Before anything is written.
        StopAtNaN(run, sync),
        *(_build_records(session, sync) if session.chief else []),
        *own,
        # After all of an epoch that cannot be made again from it, and before what can.
        *([Checkpoint(run, journal, config, stop, sync)] if session.chief else []),
        *images,
        Stop(journal, stop, config.epochs, images),
    ]


def _build_records(session, sync):
    run, config, journal = session.run, session.config, session.journal
    epochs, batch_size = config.epochs, config.batch_size
    diversity = collapse.Diversity(session.pack.pixels)
    pace = Pace(journal, batch_size, epochs)
    grids = SampleGrid(run.samples, config.sample_count, config.sample_every, epochs)
    callbacks = [
        ProgressBar(journal, pace, batch_size, epochs, sync),
        grids,
        # Measures the grid's images, and records into the journal what those below read.
        MetricsLog(run, journal, pace, epochs, diversity, grids, sync),
        TrainingWarnings(journal, collapse.certainty_at(config)),
    ]
    if config.score_every:  # into the logs, from which TensorBoardLog takes them
        scorer, count = training_scorer(config, session.pack), config.score_samples
        callbacks.append(Scores(run.root, scorer, config.score_every, count, journal=journal))
    if config.tensorboard:
        callbacks.append(TensorBoardLog(run.tensorboard, journal, config))
    return callbacks


def build_images(run: Run, config: Config, journal: Journal, sync: SyncSchedule | None = None):
    """The plot of the losses and the animation."""
    title = f"{run.root.name}: {config.dataset} at {config.image_size}x{config.image_size}"
    return [
        LossPlot(run.losses, title, collapse.certainty_at(config), journal, sync),
        ProgressGif(run.progress, run.samples),
    ]


def redraw(run: Run, config: Config, journal: Journal, after: float, loss=None):
    """Draw the plots of a finished run that are older than `after`, or not there.

    So it is where a training was killed right after its last checkpoint, of that time.

    Args:
        loss: of a program, in place of the one that the config names.
    """
    for image in build_images(run, config, journal):
        if image.path.exists() and image.path.stat().st_mtime >= after:
            continue
        shape = SimpleNamespace(output_shape=(None, config.image_size, config.image_size))
        loss = loss or parts.build_loss(config)
        image.set_model(
            SimpleNamespace(
                batch_size=config.batch_size, loss_terms=loss, inference_generator=shape
            )
        )
        image.on_train_begin()
        if isinstance(image, ProgressGif):
            image.done = journal.epoch
        image.redraw(0)
