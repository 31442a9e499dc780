"""From the config to the model, its first weights and the callbacks."""

import logging
from pathlib import Path

from dcgan_tf.common.errors import UserError
from dcgan_tf.common.runs import Run
from dcgan_tf.evaluate.against import cache_of
from dcgan_tf.metrics import collapse
from dcgan_tf.models.augment import flip
from dcgan_tf.models.gan import DCGAN
from dcgan_tf.models.losses import NonSaturating
from dcgan_tf.models.networks import build_discriminator, build_generator, load_network
from dcgan_tf.models.sampling import Sampler
from dcgan_tf.train import devices
from dcgan_tf.train.callbacks import logs, loss_plot, samples
from dcgan_tf.train.callbacks.control import Checkpoint, RestoreMeans, StepCounter, Stop
from dcgan_tf.train.callbacks.scores import Scores
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
        seed=config.seed,
        loss=NonSaturating(config.label_smoothing, config.label_noise),
        augment=flip if config.flip else None,
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


def standard(run, config, journal, model, stop, pixels, *, restored=None, chief=True, workers=1):
    """All of the above, in the order in which they depend on each other.

    Args:
        pixels: uint8 (count, height, width, channels), the training pictures.
        restored: the state that training goes on from, None at the start.
        chief: whether this process is the one that writes.
        workers: how many processes train together.

    Returns:
        list[keras.callbacks.Callback].
    """
    counting = [RestoreMeans(journal, restored), StepCounter(run, journal, stop, workers)]
    writing = _writing(run, config, journal, model, stop, pixels) if chief else []
    return [*counting, *writing, Stop(journal, stop, config.epochs)]


def _writing(run, config, journal, model, stop, pixels):
    batch_size, epochs = config.batch_size, config.epochs
    title = f"{run.root.name}: {config.dataset} at {config.image_size}x{config.image_size}"
    sampler = Sampler(model.generator)
    certainty = max(1 - config.label_smoothing - config.label_noise, 0.1)
    found = [
        logs.ProgressBar(journal, batch_size, epochs),
        logs.MetricsLog(run, journal, batch_size, epochs, sampler, collapse.Diversity(pixels)),
        logs.Troubles(journal, certainty),
        samples.SampleGrid(run, sampler, config.sample_count, config.sample_every, epochs),
        loss_plot.LossPlot(run, journal, title, epochs, certainty),
        samples.ProgressGif(run, epochs, config.image_size),
    ]
    if config.tensorboard:
        found.append(logs.TensorBoardLog(run, journal))
    if config.score_every:
        cache = cache_of(config)
        found.append(Scores(run, config, journal, model.generator, cache))
    return [*found, Checkpoint(run, journal, config, stop)]
