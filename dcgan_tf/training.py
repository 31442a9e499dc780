"""Training from the request to the last picture, on one screen."""

import keras
import numpy as np
import tensorflow as tf

from dcgan_tf import callbacks, checkpoints, devices, runs
from dcgan_tf.config import fixed_fields
from dcgan_tf.errors import WORKER_LOST, Interrupted, UserError, describe, is_file_system_error
from dcgan_tf.gan import DCGAN
from dcgan_tf.images import grid, save_png
from dcgan_tf.networks import build_discriminator, build_generator, load_network
from dcgan_tf.pack import open_pack
from dcgan_tf.pipeline import batches, steps_per_epoch
from dcgan_tf.signals import StopRequest
from dcgan_tf.sources import open_source


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
    own = runs.claim(request) if number == 0 else runs.join(request)
    with StopRequest() as stop, own as run:
        found = checkpoints.read_newest(run.checkpoints, run.say)
        if found and found[1].epoch >= config.epochs:
            done = found[1].epoch
            run.say(f"{run.root} is finished: {done} epochs. A larger --epochs extends it.")
            return 0
        if number == 0:
            runs.save_config(run, config)
        source = open_source(config)
        devices.prepare(config)
        strategy = devices.open_strategy(config)
        with strategy.scope():
            model = build_model(config, strategy)
        if not found:
            warm_start(config, model, run.say)
        pack = open_pack(config, source, run.say)
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
            run.say(f"going on after step {journal.step} (epoch {journal.epoch} done)")
        _record_computing(run, journal, devices.computing(strategy))
        kept = callbacks.standard(
            run,
            config,
            journal,
            model,
            stop,
            pack.pixels,
            restored=state,
            chief=number == 0,
            workers=workers,
        )
        if number == 0:
            save_png(run.reals, grid(np.asarray(pack.pixels[:64])))
        run.say(f"training in {run.root} on {devices.describe(strategy)}")
        run.say(f"to stop: Ctrl-C; to go on later: {_resume_command(run)}")
        stop.defer()
        try:
            _fit(model, strategy, config, pack, journal, kept)
        except Interrupted as interruption:
            run.say(f"saved at step {journal.step} (epoch {journal.epoch} done)")
            run.say(f"to go on: {_resume_command(run)}")
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
        run.say(f"done: {config.epochs} epochs in {run.root}")
        run.say(f"next: python generate.py --run {run.root} --n 64")
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
        _optimizer(config, rate) for rate in (config.g_learning_rate, config.d_learning_rate)
    )
    model.compile(g_optimizer, d_optimizer, jit_compile=devices.use_jit(config, strategy))
    return model


def _optimizer(config, learning_rate):
    adam = keras.optimizers.Adam(learning_rate, config.beta_1, config.beta_2)
    if config.precision == "mixed_float16":  # small gradients would vanish in half precision
        return keras.optimizers.LossScaleOptimizer(adam)
    return adam


def warm_start(config, model, say=print):
    """Load the weights of `--init-from` into G and D.

    Args:
        config: config.Config; `init_from` is "", a run directory, or "G.keras,D.keras".
        model: gan.DCGAN.
        say: called with one line.

    Raises:
        UserError: no such files, no Keras models, or networks of another shape.
    """
    if not config.init_from:
        return
    for network, path in zip(
        (model.generator, model.discriminator), runs.init_files(config), strict=True
    ):
        trained = load_network(path, "--init-from")
        shapes = [[tuple(w.shape) for w in n.weights] for n in (network, trained)]
        if shapes[0] != shapes[1]:
            raise UserError(
                f"--init-from {path}: not of the shape of this config's {network.name}; "
                "use the config that it was trained with"
            )
        network.set_weights(trained.get_weights())
    say(f"starting from the networks of {config.init_from}")


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


def _record_computing(run, journal, now):
    """Put into the journal what decides the bits; name what is not as it was."""
    before, journal.computing = journal.computing, now
    changed = [name for name in now if before.get(name, now[name]) != now[name]]
    if changed:
        pairs = "; ".join(f"{name} {before[name]} -> {now[name]}" for name in changed)
        run.say(
            f"warning: not computed as before ({pairs}); "
            "from here on the bits may differ from those of an uninterrupted run"
        )


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
