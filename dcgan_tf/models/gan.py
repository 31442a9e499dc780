"""The DCGAN model: two networks, two optimizers and the training step."""

import functools

import keras
import tensorflow as tf

from dcgan_tf.models import noise
from dcgan_tf.models.adversaries import Adversaries
from dcgan_tf.models.batches import check_networks
from dcgan_tf.models.ema import copy_of, update
from dcgan_tf.models.epoch_mean import EpochMean
from dcgan_tf.models.forward import forward
from dcgan_tf.models.losses import NonSaturating
from dcgan_tf.models.pixels import range_of, to_float
from dcgan_tf.models.sampling import Sampler


@keras.saving.register_keras_serializable("dcgan_tf")
class DCGAN(Adversaries):
    """A deep convolutional GAN (Radford et al. 2015) for `fit` on uint8 pictures.

    A batch is {"image": uint8 (n, height, width, channels), "index": int64 (n,)}, as the pipeline
    makes them, or pictures alone. The index keys all noise: a training that goes on after a kill,
    or on another number of devices, draws the same. Pictures alone are counted by D's steps.

    Metrics are means over the epoch: `d_loss`, `g_loss`, and the mean of sigmoid(logit), D's
    belief that a picture is real, over reals (`d_real`) and over fakes (`d_fake`).

    Args:
        generator: (n, latent_dim) to pictures, ending in a sigmoid ([0, 1]) or a tanh ([-1, 1]).
        discriminator: pictures to logits (n, 1).
        batch_size: pictures per step over all devices; other batches are refused.
        seed: of latents and of all other noise.
        loss: has `discriminator(real_logits, fake_logits, draws)` and `generator(fake_logits)`,
            which return scalars (more in losses.py); by default losses.NonSaturating().
        augment: called with (real pictures as floats in G's range, draws) for what D sees of them.
        d_augment: called with (pictures, draws, stream) for what D sees of reals and of fakes;
            differentiable, so that G learns through it. A loss that pairs has one stream for both.
        penalty: called with the gradients of the logits by the reals and by the fakes, and draws,
            for a scalar that is added to D's loss (penalties.py).
        average: called with (images seen, batch size) for the share of the averaged G that stays
            in a step (average.py); None keeps no average.
        fresh_fakes: draw new fakes for G's step, at the price of another pass through G.

    Attributes:
        generator, discriminator: the networks that are trained.
        averaged: keras.Model, the average of G; None without.
        shown: the network to make pictures with: `averaged`, or `generator` without an average.
        sampler: sampling.Sampler of `shown`.
        diverged: tf.Variable, float64 (3,): the first step whose losses were NaN or infinite,
            counted from 1, its d_loss and its g_loss; zeros as long as there was none.

    Example:

    >>> from dcgan_tf import DCGAN, Config, images_dataset
    >>> config = Config(
    ...     batch_size=8, image_size=16, base_size=4, g_channels=(8, 8), d_channels=(8, 8)
    ... )
    >>> model = DCGAN.from_config(config)
    >>> images = images_dataset("images", config.image_size, config.batch_size)
    >>> sorted(model.fit(images, epochs=2, verbose=0).history)
    ['d_fake', 'd_loss', 'd_real', 'g_loss']
    """

    def __init__(
        self,
        generator: keras.Model,
        discriminator: keras.Model,
        *,
        batch_size: int = 32,
        seed: int = 0,
        loss=None,
        augment=None,
        d_augment=None,
        penalty=None,
        average=None,
        fresh_fakes: bool = False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        check_networks(generator, discriminator)
        self.generator, self.discriminator = generator, discriminator
        self.batch_size, self.seed = batch_size, seed
        self._range = range_of(generator)
        self.loss_terms = loss or NonSaturating()
        self.augment, self.d_augment, self.penalty = augment, d_augment, penalty
        self.average = average
        self.averaged = copy_of(generator) if average else None
        self.fresh_fakes = fresh_fakes
        self.means = [EpochMean(name) for name in ("d_loss", "g_loss", "d_real", "d_fake")]
        # This worker's wish to stop, 0 or 1, and the mean of all workers' wishes in the last step:
        # all see the same, so that all stop after the same step.
        self.wants_stop = tf.Variable(0.0, trainable=False)
        first = tf.VariableAggregation.ONLY_FIRST_REPLICA
        self.stop_wished = tf.Variable(0.0, trainable=False, aggregation=first)
        self.diverged = tf.Variable([0.0] * 3, trainable=False, dtype="float64", aggregation=first)
        self.built = True  # both networks are; without this Keras tries and fails under a strategy

    @property
    def metrics(self):
        return self.means

    @property
    def shown(self):
        return self.averaged or self.generator

    @functools.cached_property
    def sampler(self):
        return Sampler(self.shown)

    def call(self, latents, training=False):
        network = self.generator if training else self.shown
        return network(latents, training=training)

    def train_step(self, data):
        """One step of D on reals and fakes, then one of G against the new D.

        Args:
            data: this device's share of a batch, {"image", "index"} or pictures alone.

        Returns:
            dict of tensors: the metrics' values so far.
        """
        if isinstance(data, tuple):  # from train_on_batch
            data = data[0]
        if not isinstance(data, dict):
            data = {"image": data, "index": self._count(tf.shape(data)[0])}
        draws = noise.Draws(self.seed, data["index"], self.batch_size)
        reals = to_float(tf.cast(data["image"], self.generator.outputs[0].dtype), self._range)
        if self.augment:
            reals = self.augment(reals, draws)
        # The networks are called with training=True, or BatchNorm would never learn its statistics.
        with tf.GradientTape() as g_tape:
            fakes = forward(self.generator, self._latents(draws, noise.LATENTS))
        d_loss, d_real, d_fake = self._train_discriminator(reals, tf.stop_gradient(fakes), draws)
        if self.fresh_fakes:
            latents = self._latents(draws, noise.FRESH_LATENTS)
            with tf.GradientTape() as g_tape:
                fakes = forward(self.generator, latents)
        g_loss = self._train_generator(fakes, g_tape, reals, draws)
        if self.averaged:
            seen = draws.images_seen + self.batch_size
            update(self.averaged, self.generator, self.average(seen, self.batch_size))
        step = draws.images_seen // self.batch_size + 1
        return self._update_means(step, d_loss, g_loss, d_real, d_fake)

    def _train_discriminator(self, reals, fakes, draws):
        reals, fakes = self._seen(reals, fakes, draws)
        with tf.GradientTape() as tape:
            with tf.GradientTape(persistent=True) as slopes:
                slopes.watch([reals, fakes])
                # Two passes: in one BatchNorm would mix the statistics of reals and fakes, D would
                # tell them apart by that alone, and G's step, with only fakes, would fool it.
                real_logits = forward(self.discriminator, reals)
                fake_logits = forward(self.discriminator, fakes)
            loss = self.loss_terms.discriminator(real_logits, fake_logits, draws)
            if self.penalty:
                of_reals = slopes.gradient(real_logits, reals)
                loss += self.penalty(of_reals, slopes.gradient(fake_logits, fakes), draws)
            scaled = self.d_optimizer.scale_loss(self._share(loss))
        weights = self.discriminator.trainable_variables
        self._apply(self.d_optimizer, tape.gradient(scaled, weights), weights)
        return loss, *self._beliefs(real_logits, fake_logits)

    def _train_generator(self, fakes, g_tape, reals, draws):
        # The chain rule in two parts, D's and G's: G's pass from before D's step is used again, and
        # no gradients of D's weights are computed only to be thrown away.
        with tf.GradientTape() as tape:
            tape.watch(fakes)
            reals, seen = self._seen(reals, fakes, draws)
            logits = [forward(self.discriminator, seen)]
            if self._pairs:
                logits.append(forward(self.discriminator, reals))
            loss = self.loss_terms.generator(*logits)
            scaled = self.g_optimizer.scale_loss(self._share(loss))
        weights = self.generator.trainable_variables
        gradients = g_tape.gradient(fakes, weights, output_gradients=tape.gradient(scaled, fakes))
        self._apply(self.g_optimizer, gradients, weights)
        return loss

    @property
    def _pairs(self):
        return getattr(self.loss_terms, "pairs", False)

    def _seen(self, reals, fakes, draws):
        """What D sees of both: the same change for a real and a fake that the loss compares."""
        if not self.d_augment:
            return reals, fakes
        own = noise.AUGMENT_REALS if self._pairs else noise.AUGMENT_FAKES
        reals = self.d_augment(reals, draws, noise.AUGMENT_REALS)
        return reals, self.d_augment(fakes, draws, own)

    def _beliefs(self, real_logits, fake_logits):
        if beliefs := getattr(self.loss_terms, "beliefs", None):
            return beliefs(real_logits, fake_logits)
        return [tf.reduce_mean(tf.sigmoid(logits)) for logits in (real_logits, fake_logits)]

    def _apply(self, optimizer, gradients, weights):
        # A bias before BatchNorm has none (models/forward.py).
        pairs = list(zip(gradients, weights, strict=True))
        gradients = [tf.zeros(w.shape, w.dtype) if g is None else g for g, w in pairs]
        replicas = self.distribute_strategy.num_replicas_in_sync
        if replicas > 1 and isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
            # It decides whether to skip a step by the first device's gradients: give all the same.
            context = tf.distribute.get_replica_context()
            gradients = context.all_reduce(tf.distribute.ReduceOp.MEAN, gradients)
        optimizer.apply_gradients(zip(gradients, weights, strict=True))

    def _share(self, loss):
        """This device's share of the loss: gradients are summed over devices, not averaged."""
        return loss / self.distribute_strategy.num_replicas_in_sync

    def _count(self, own):
        """Global indices of this device's `own` pictures, by how many steps D has taken."""
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        first = tf.cast(self.d_optimizer.iterations, tf.int64) * self.batch_size
        return first + tf.range(tf.cast(own, tf.int64)) + tf.cast(replica * own, tf.int64)

    def _latents(self, draws, stream):
        return draws.normal(stream, self.generator.input_shape[-1], self.generator.outputs[0].dtype)

    def _update_means(self, step, *values):
        """Add this step's values, averaged over all devices, and return the logs."""
        context = tf.distribute.get_replica_context()
        values = tf.stack([*values, tf.cast(self.wants_stop, values[0].dtype)])
        values = context.all_reduce(tf.distribute.ReduceOp.MEAN, values)
        self.stop_wished.assign(tf.cast(values[-1], tf.float32))
        self._note_divergence(step, values[:2])
        logs = {}
        for mean, value in zip(self.means, tf.unstack(values[:-1]), strict=True):
            mean.update_state(value)
            logs[mean.name] = mean.result()
        # Keras averages the logs of several workers over their first axis, so they need one there.
        strategy = self.distribute_strategy
        workers = isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy)
        if workers and strategy.extended._in_multi_worker_mode():  # as Keras asks
            return {name: value[None] for name, value in logs.items()}
        return logs

    def _note_divergence(self, step, losses):
        """Keep the first losses that are no numbers: who looks now and then misses none."""
        found = tf.concat([tf.cast([step], tf.float64), tf.cast(losses, tf.float64)], 0)
        first = (self.diverged[0] == 0) & ~tf.reduce_all(tf.math.is_finite(losses))
        self.diverged.assign(tf.where(first, found, self.diverged))
