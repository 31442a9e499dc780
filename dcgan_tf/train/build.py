"""The callbacks of a training, in the order of their dependencies."""

import keras

from dcgan_tf.common.checkpoints import Journal
from dcgan_tf.common.config import Config
from dcgan_tf.common.runs import Run
from dcgan_tf.metrics import collapse
from dcgan_tf.train.callbacks.base import PeriodicImage
from dcgan_tf.train.callbacks.control import Checkpoint, StepCounter, Stop, StopAtNaN
from dcgan_tf.train.callbacks.logs import MetricsLog, RunReport, TensorBoardLog, TrainingWarnings
from dcgan_tf.train.callbacks.loss_plot import LossPlot
from dcgan_tf.train.callbacks.progress import ProgressBar
from dcgan_tf.train.callbacks.samples import ProgressGif, SampleGrid
from dcgan_tf.train.callbacks.scores import Scores, training_scorer
from dcgan_tf.train.session import Session


def build_callbacks(session: Session, own=()) -> list[keras.callbacks.Callback]:
    """Build the callbacks of a session; `own` are the user's callbacks."""
    run, journal, config = session.run, session.journal, session.config
    counter = StepCounter(
        journal, session.stop, config.checkpoint_steps, session.workers, session.restored
    )
    images = _build_images(run, config, journal, counter) if session.chief else []
    control = [
        # Updates `journal.step`, `now` and `must_stop`, which all later callbacks read.
        counter,
        # Before anything is saved.
        StopAtNaN(run, counter),
    ]
    stop = Stop(journal, session.stop, counter, images)
    if not session.chief:
        return [*control, *own, stop]
    # After everything that cannot be made again from a checkpoint, before the rest.
    save = Checkpoint(run, journal, config, counter)
    return [*control, *_build_records(session, counter), *own, save, *images, RunReport(run), stop]


def _build_records(session, counter):
    run, config, journal = session.run, session.config, session.journal
    bar = ProgressBar(journal, counter)
    callbacks = [
        bar,
        SampleGrid(run.samples, config.sample_count, config.sample_every),
        # Records the losses in the journal, for the callbacks below.
        MetricsLog(run, journal, counter, bar, collapse.Diversity(session.pack.pixels)),
        TrainingWarnings(journal, collapse.certainty_of(config)),
    ]
    if config.score_every:  # adds scores to the logs, for TensorBoardLog
        scorer, count = training_scorer(config, session.pack), config.score_samples
        callbacks.append(Scores(run.root, scorer, config.score_every, count, journal=journal))
    if config.tensorboard:
        callbacks.append(TensorBoardLog(run.tensorboard, journal, config))
    return callbacks


def _build_images(run: Run, config: Config, journal: Journal, counter) -> list[PeriodicImage]:
    side = config.image_size
    title = f"{run.root.resolve().name}: {config.dataset} at {side}x{side}"
    animation = run.progress.with_suffix(f".{config.progress_format}")
    return [
        LossPlot(run.losses, title, collapse.certainty_of(config), journal, counter),
        ProgressGif(animation, run.samples),
    ]
