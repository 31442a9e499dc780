"""A model's first weights and changing settings, and the callbacks of a training."""

import dataclasses
import logging
from types import SimpleNamespace

import keras

from dcgan_tf.metrics import collapse
from dcgan_tf.models import parts
from dcgan_tf.models.gan import DCGAN
from dcgan_tf.models.loading import GENERATORS, load_network
from dcgan_tf.models.optimizers import learning_rate_of
from dcgan_tf.train import changes
from dcgan_tf.train.callbacks import logs
from dcgan_tf.train.callbacks.control import (
    Checkpoint,
    RestoreMeans,
    StepCounter,
    Stop,
    StopAtNaN,
    SyncSchedule,
)
from dcgan_tf.train.callbacks.loss_plot import LossPlot
from dcgan_tf.train.callbacks.midway import AverageIntoG, Midway
from dcgan_tf.train.callbacks.progress import Pace, ProgressBar
from dcgan_tf.train.callbacks.samples import ProgressGif, SampleGrid
from dcgan_tf.train.callbacks.scores import Scores, training_scorer
from dcgan_tf.train.init_from import check_same, init_files

log = logging.getLogger(__name__)


def settle(model: DCGAN, config):
    """Give a model the settings that may change midway, config.MIDWAY, also while it trains."""
    model.g_optimizer.learning_rate = learning_rate_of(config, config.g_learning_rate)
    model.d_optimizer.learning_rate = learning_rate_of(config, config.d_learning_rate)
    if config.loss == "non_saturating":
        model.loss_terms = parts.build_loss(config)
    model.augment = parts.build_augment(config)
    if model.train_function:  # it was compiled with the old loss and augmentation
        model.make_train_function(force=True)


def warm_start(config, model):
    """Load the weights of `--init-from` into G and D; Adam's moments begin anew.

    The moments belong to the pictures and learning rates of the other training, and two files do
    not hold them. To go on with them, go on with that run: --run, with other settings.

    Args:
        config: config.Config; `init_from` is what init_files takes.
        model: gan.DCGAN.

    Raises:
        UserError: no such files, no Keras models, or networks that compute something else.
    """
    if not config.init_from:
        return
    networks = (model.generator, GENERATORS), (model.discriminator, ("discriminator",))
    for (network, names), path in zip(networks, init_files(config.init_from), strict=True):
        trained = load_network(path, "--init-from", names)
        check_same(network, trained, f"--init-from {path}")
        network.set_weights(trained.get_weights())
    if model.ema_generator:
        model.ema_generator.set_weights(model.generator.get_weights())
    log.info(f"starting from the networks of {config.init_from}; Adam's moments begin anew")


def callbacks(session, own=()) -> list[keras.callbacks.Callback]:
    """What a training does beside its steps, in the order in which one needs the other.

    StepCounter moves `journal.step` and says when values are looked at, for all others. StopAtNaN
    comes before anything is written. MetricsLog measures images of SampleGrid and adds to
    `journal.history`, which TrainingWarnings, LossPlot, TensorBoardLog and Checkpoint read;
    LossPlot adds to `journal.curve`; Scores comes before TensorBoardLog, which writes them.
    Checkpoint comes after all of an epoch that cannot be made again from it, and Stop, which draws
    the plots, is last. A program's `own` come before both.
    """
    run, journal, stop, config = session.run, session.journal, session.stop, session.config
    looks = SyncSchedule(config.checkpoint_steps, session.workers)
    found = [
        RestoreMeans(journal, session.restored),
        Midway(journal, config, session.plan, settle),
        AverageIntoG(journal, config),
        StepCounter(journal, stop, looks, session.workers),
        StopAtNaN(run, looks),
    ]
    pictures = []
    if session.chief:
        pictures = _pictures(run, config, session.plan, journal, looks)
        found += [
            *_writing(session, looks),
            *pictures,
            *own,
            Checkpoint(run, journal, config, stop, looks),
        ]
    else:
        found += own
    return [*found, Stop(journal, stop, config.epochs, pictures)]


def _writing(session, looks):
    run, config, journal = session.run, session.config, session.journal
    epochs = config.epochs
    diversity = collapse.Diversity(session.pack.pixels)
    pace = Pace(journal, config.batch_size, epochs)
    grids = SampleGrid(run.samples, config.sample_count, config.sample_every, epochs)
    found = [
        ProgressBar(journal, pace, config.batch_size, epochs, looks),
        grids,
        logs.MetricsLog(run, journal, pace, epochs, diversity, grids),
        logs.TrainingWarnings(journal, _certainty(config, session.plan)),
    ]
    if config.score_every:
        judge = training_scorer(config, session.pack)
        count = config.score_samples
        found.append(Scores(run.root, judge, config.score_every, count, journal=journal))
    if config.tensorboard:
        found.append(logs.TensorBoardLog(run.tensorboard, journal, config))
    return found


def _certainty(config, plan):
    return collapse.certainty_at(config, map(dataclasses.astuple, plan))


def _pictures(run, config, plan, journal, looks=None):
    title = f"{run.root.name}: {config.dataset} at {config.image_size}x{config.image_size}"
    return [
        LossPlot(run.losses, title, _certainty(config, plan), journal, looks),
        ProgressGif(run.progress, run.samples),
    ]


def redraw(run, config, journal, after: float):
    """Draw the plots of a finished run that are older than `after`, or not there.

    So it is where a training was killed right after its last checkpoint, of that time.
    """
    losses, gif = _pictures(run, config, changes.read(run.config), journal)
    gif.done = journal.epoch
    shape = SimpleNamespace(output_shape=(None, config.image_size, config.image_size))
    model = SimpleNamespace(
        batch_size=config.batch_size, loss_terms=parts.build_loss(config), shown=shape
    )
    for picture in (losses, gif):
        if not picture.path.exists() or picture.path.stat().st_mtime < after:
            picture.set_model(model)
            picture.on_train_begin()
            picture.redraw(0)
