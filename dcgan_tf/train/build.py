"""From the config to the model, its first weights and the callbacks."""

import logging
from pathlib import Path

from dcgan_tf.common.errors import UserError
from dcgan_tf.common.runs import Run
from dcgan_tf.metrics import collapse
from dcgan_tf.models.gan import DCGAN
from dcgan_tf.models.networks import build_discriminator, build_generator, load_network
from dcgan_tf.train import devices
from dcgan_tf.train.callbacks import logs
from dcgan_tf.train.callbacks.control import Checkpoint, RestoreMeans, StepCounter, Stop
from dcgan_tf.train.callbacks.loss_plot import LossPlot
from dcgan_tf.train.callbacks.progress import Pace, ProgressBar
from dcgan_tf.train.callbacks.redrawn import Redrawn
from dcgan_tf.train.callbacks.samples import ProgressGif, SampleGrid
from dcgan_tf.train.callbacks.scores import Scores, training_judge
from dcgan_tf.train.callbacks.stop_at_nan import StopAtNaN
from dcgan_tf.train.optimizers import adam_for

log = logging.getLogger(__name__)


def build_model(config, strategy):
    """A compiled DCGAN; call it inside `strategy.scope()`.

    Args:
        config: config.Config, resolved.
        strategy: tf.distribute.Strategy.

    Returns:
        gan.DCGAN.
    """
    synchronized = strategy.num_replicas_in_sync > 1
    model = DCGAN(
        build_generator(config, synchronized),
        build_discriminator(config, synchronized),
        batch_size=config.batch_size,
        output_activation=config.output_activation,
        seed=config.seed,
        flip=config.flip,
        label_smoothing=config.label_smoothing,
        label_noise=config.label_noise,
        fresh_fakes=config.fresh_fakes,
    )
    g_optimizer, d_optimizer = (
        adam_for(config, rate) for rate in (config.g_learning_rate, config.d_learning_rate)
    )
    model.compile(g_optimizer, d_optimizer, jit_compile=devices.use_jit(config, strategy))
    return model


def warm_start(config, model):
    """Load the weights of `--init-from` into G and D.

    Args:
        config: config.Config; `init_from` is "", a run directory, or "G.keras,D.keras".
        model: gan.DCGAN.

    Raises:
        UserError: no such files, no Keras models, or networks of another shape.
    """
    if not config.init_from:
        return
    for network, path in zip(
        (model.generator, model.discriminator), init_files(config), strict=True
    ):
        trained = load_network(path, "--init-from")
        shapes = [[tuple(w.shape) for w in n.weights] for n in (network, trained)]
        if shapes[0] != shapes[1]:
            raise UserError(
                f"--init-from {path}: not of the shape of this config's {network.name}; "
                "use the config that it was trained with"
            )
        network.set_weights(trained.get_weights())
    log.info(f"starting from the networks of {config.init_from}")


def init_files(config):
    """list[Path]: G and D that `--init-from` names, [] where it names none.

    Raises:
        UserError: neither a run with both networks nor two files.
    """
    if not config.init_from:
        return []
    run = Run(config.init_from)
    names = config.init_from.split(",")
    files = [run.generator, run.discriminator] if run.root.is_dir() else list(map(Path, names))
    if len(files) != 2 or not all(path.is_file() for path in files):
        raise UserError(
            f"--init-from {config.init_from}: expected a run directory with generator.keras and "
            "discriminator.keras, or G.keras,D.keras"
        )
    return files


def standard(
    run, config, journal, model, stop, pack, source, *, restored=None, chief=True, workers=1
):
    """The callbacks of a run, in the order in which they depend on each other.

    StepCounter moves `journal.step`, which all others read. StopAtNaN comes before anything is
    written. MetricsLog adds to `journal.history`, which Troubles, LossPlot, TensorBoardLog and
    Checkpoint read; SampleGrid comes before the GIF of its grids, Scores before TensorBoardLog,
    which writes them; Checkpoint is on disk only after all else of an epoch is, and Stop is last.

    Args:
        pack: the training pictures; source: where they come from.
        restored: the state that training goes on from, None at the start.
        chief: whether this process is the one that writes.
        workers: how many processes train together.

    Returns:
        list[keras.callbacks.Callback].
    """
    counting = [
        RestoreMeans(journal, restored),
        StepCounter(journal, stop, workers),
        StopAtNaN(run, journal),
    ]
    writing = _writing(run, config, journal, pack, source) if chief else []
    saving = [Checkpoint(run, journal, config, stop)] if chief else []
    pictures = [callback for callback in writing if isinstance(callback, Redrawn)]
    return [*counting, *writing, *saving, Stop(journal, stop, config.epochs, pictures)]


def _writing(run, config, journal, pack, source):
    epochs = config.epochs
    title = f"{run.root.name}: {config.dataset} at {config.image_size}x{config.image_size}"
    certainty = max(1 - config.label_smoothing - config.label_noise, 0.1)
    pace = Pace(journal, config.batch_size, epochs)
    found = [
        ProgressBar(journal, pace, config.batch_size, epochs),
        logs.MetricsLog(run, journal, pace, epochs, collapse.Diversity(pack.pixels)),
        logs.Troubles(journal, certainty),
        SampleGrid(run.samples, config.sample_count, config.sample_every, epochs),
        LossPlot(run.losses, title, certainty, journal),
        ProgressGif(run.progress, run.samples),
    ]
    if config.score_every:
        judge = training_judge(config, source, pack)
        count = config.score_samples
        found.append(Scores(run.root, judge, config.score_every, count, journal=journal))
    if config.tensorboard:
        found.append(logs.TensorBoardLog(run.tensorboard, journal))
    return found
