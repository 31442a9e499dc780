"""A model's first weights and changing settings, and the callbacks of a training."""

import dataclasses
import logging

import keras

from dcgan_tf.common.errors import UserError
from dcgan_tf.metrics import collapse
from dcgan_tf.models import parts
from dcgan_tf.models.gan import DCGAN
from dcgan_tf.models.loading import load_network
from dcgan_tf.models.optimizers import learning_rate_of
from dcgan_tf.train.callbacks import logs
from dcgan_tf.train.callbacks.control import Checkpoint, Looks, RestoreMeans, StepCounter, Stop
from dcgan_tf.train.callbacks.loss_plot import LossPlot
from dcgan_tf.train.callbacks.midway import AverageIntoG, Midway
from dcgan_tf.train.callbacks.progress import Pace, ProgressBar
from dcgan_tf.train.callbacks.redrawn import Redrawn
from dcgan_tf.train.callbacks.samples import ProgressGif, SampleGrid
from dcgan_tf.train.callbacks.scores import Scores, training_judge
from dcgan_tf.train.callbacks.stop_at_nan import StopAtNaN
from dcgan_tf.train.init_from import init_files

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
        UserError: no such files, no Keras models, or networks of another shape.
    """
    if not config.init_from:
        return
    for network, path in zip(
        (model.generator, model.discriminator), init_files(config.init_from), strict=True
    ):
        trained = load_network(path, "--init-from")
        shapes = [[tuple(w.shape) for w in n.weights] for n in (network, trained)]
        if shapes[0] != shapes[1]:
            raise UserError(
                f"--init-from {path}: not of the shape of this config's {network.name}; "
                "give it the sizes that it was trained with, or its run's directory"
            )
        network.set_weights(trained.get_weights())
    if model.averaged:
        model.averaged.set_weights(model.generator.get_weights())
    log.info(f"starting from the networks of {config.init_from}; Adam's moments begin anew")


def callbacks(session, own=()) -> list[keras.callbacks.Callback]:
    """What a training does beside its steps, in the order in which one needs the other.

    StepCounter moves `journal.step` and says when values are looked at, for all others. StopAtNaN
    comes before anything is written. MetricsLog measures pictures of SampleGrid and adds to
    `journal.history`, which Troubles, LossPlot, TensorBoardLog and Checkpoint read; the GIF comes
    after its grids, Scores before TensorBoardLog, which writes them; Checkpoint is on disk only
    after all else of an epoch is, and Stop is last. A program's `own` come before both.
    """
    run, journal, stop, config = session.run, session.journal, session.stop, session.config
    looks = Looks(config.checkpoint_steps, session.workers)
    counting = [
        RestoreMeans(journal, session.restored),
        Midway(journal, config, session.plan, settle),
        AverageIntoG(journal, config),
        StepCounter(journal, stop, looks, session.workers),
        StopAtNaN(run, looks),
    ]
    writing = _writing(session, looks) if session.chief else []
    saving = [Checkpoint(run, journal, config, stop, looks)] if session.chief else []
    pictures = [callback for callback in writing if isinstance(callback, Redrawn)]
    return [*counting, *writing, *own, *saving, Stop(journal, stop, config.epochs, pictures)]


def _writing(session, looks):
    run, config, journal = session.run, session.config, session.journal
    epochs = config.epochs
    title = f"{run.root.name}: {config.dataset} at {config.image_size}x{config.image_size}"
    diversity = collapse.Diversity(session.pack.pixels)
    certainty = collapse.certainty_at(config, map(dataclasses.astuple, session.plan))
    pace = Pace(journal, config.batch_size, epochs)
    grids = SampleGrid(run.samples, config.sample_count, config.sample_every, epochs)
    found = [
        ProgressBar(journal, pace, config.batch_size, epochs, looks),
        grids,
        logs.MetricsLog(run, journal, pace, epochs, diversity, grids),
        logs.Troubles(journal, certainty),
        LossPlot(run.losses, title, certainty, journal, looks),
        ProgressGif(run.progress, run.samples),
    ]
    if config.score_every:
        judge = training_judge(config, session.pack)
        count = config.score_samples
        found.append(Scores(run.root, judge, config.score_every, count, journal=journal))
    if config.tensorboard:
        found.append(logs.TensorBoardLog(run.tensorboard, journal, config))
    return found
