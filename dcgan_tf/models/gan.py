"""The model: two networks, two optimizers and the step that trains one against the other."""

import keras
import tensorflow as tf

from dcgan_tf.models import noise
from dcgan_tf.models.losses import discriminator_loss, generator_loss
from dcgan_tf.models.pixels import to_float


class EpochMean(keras.metrics.Metric):
    """Mean over the steps of an epoch of a value that is the same on all devices.

    Keras' own Mean keeps a share of its sum on each device. Reading it is then a collective
    operation, which one worker cannot do alone, and spreading a restored sum over three devices
    rounds it; this one is a single number everywhere.
    """

    def __init__(self, name):
        super().__init__(name=name)
        options = {"trainable": False, "aggregation": "only_first_replica"}
        self.total = keras.Variable("zeros", (), self.dtype, name="total", **options)
        self.count = keras.Variable("zeros", (), self.dtype, name="count", **options)

    def update_state(self, value):
        self.total.assign_add(tf.cast(value, self.dtype))
        self.count.assign_add(1)

    def result(self):
        return keras.ops.divide_no_nan(self.total, self.count)


class DCGAN(keras.Model):
    """A deep convolutional GAN (Radford et al. 2015) for `fit` on batches of pipeline.batches.

    Metrics are means over the epoch: `d_loss`, `g_loss`, and the mean of sigmoid(logit), D's
    belief that a picture is real, over reals (`d_real`) and over fakes (`d_fake`).

    Args:
        generator: keras.Model, (n, latent_dim) to pictures.
        discriminator: keras.Model, pictures to logits (n, 1).
        batch_size: pictures per step over all devices.
        output_activation: "sigmoid" or "tanh", the range of the pictures.
        seed: of latents, flips and label noise.
        flip: mirror each real picture with probability 1/2.
        label_smoothing: D's target for reals is 1 minus this.
        label_noise: targets move towards 1/2 by up to this, never across it.
        fresh_fakes: draw new fakes for G's step, at the price of another pass through G.
    """

    def __init__(
        self,
        generator,
        discriminator,
        *,
        batch_size,
        output_activation,
        seed=0,
        flip=False,
        label_smoothing=0.0,
        label_noise=0.0,
        fresh_fakes=False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.generator = generator
        self.discriminator = discriminator
        self.batch_size = batch_size
        self.output_activation = output_activation
        self.seed = seed
        self.flip = flip
        self.label_smoothing = label_smoothing
        self.label_noise = label_noise
        self.fresh_fakes = fresh_fakes
        self.means = [EpochMean(name) for name in ("d_loss", "g_loss", "d_real", "d_fake")]
        # This worker's wish to stop, 0 or 1. All see the mean after each step, so that all stop
        # after the same one.
        self.wants_stop = tf.Variable(0.0, trainable=False)
        self.built = True  # both networks are; without this Keras tries and fails under a strategy

    def compile(self, g_optimizer, d_optimizer, **kwargs):
        """Set one optimizer for each network; other arguments as for keras.Model.compile."""
        super().compile(optimizer=None, **kwargs)  # the default would be a stray RMSprop
        self.g_optimizer = g_optimizer
        self.d_optimizer = d_optimizer
        # Built now, so that a checkpoint can restore the moments before the first step.
        g_optimizer.build(self.generator.trainable_variables)
        d_optimizer.build(self.discriminator.trainable_variables)

    @property
    def metrics(self):
        return self.means

    def call(self, latents, training=False):
        return self.generator(latents, training=training)

    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        """Both networks are built. Keras' own check reduces a batch over the workers, and
        TensorFlow cannot reduce a dict (Keras 3.15, TensorFlow 2.21)."""

    def train_step(self, data):
        """One step of D on reals and fakes, then one of G against the new D.

        Args:
            data: {"image": uint8 (n, height, width, channels), "index": int64 (n,)}, this
                device's share of the batch.

        Returns:
            dict of (1,) tensors, a shape that fit can reduce over workers: the metrics' values so
            far, and `stop`, above 0 if any worker wants to.
        """
        reals = self._reals(data["image"], data["index"])
        # The networks are called with training=True, or BatchNorm would never learn its statistics.
        with tf.GradientTape() as g_tape:
            fakes = self.generator(self._latents(noise.LATENTS, data["index"]), training=True)
        d_loss, d_real, d_fake = self._train_discriminator(reals, fakes, data["index"])
        if self.fresh_fakes:
            latents = self._latents(noise.FRESH_LATENTS, data["index"])
            with tf.GradientTape() as g_tape:
                fakes = self.generator(latents, training=True)
        g_loss = self._train_generator(fakes, g_tape)
        return self._update_means(d_loss, g_loss, d_real, d_fake)

    def _train_discriminator(self, reals, fakes, index):
        fakes = tf.stop_gradient(fakes)
        with tf.GradientTape() as tape:
            # Two passes: in one BatchNorm would mix the statistics of reals and fakes, D would tell
            # them apart by that alone, and G's step, which sees only fakes, would fool it.
            real_logits = self.discriminator(reals, training=True)
            fake_logits = self.discriminator(fakes, training=True)
            real_targets, fake_targets = self._targets(index, real_logits.dtype)
            loss = discriminator_loss(real_logits, fake_logits, real_targets, fake_targets)
            scaled = self.d_optimizer.scale_loss(self._share(loss))
        weights = self.discriminator.trainable_variables
        self._apply(self.d_optimizer, tape.gradient(scaled, weights), weights)
        beliefs = (tf.reduce_mean(tf.sigmoid(logits)) for logits in (real_logits, fake_logits))
        return loss, *beliefs

    def _train_generator(self, fakes, g_tape):
        # The chain rule in two parts, D's and G's: G's pass from before D's step is used again, and
        # no gradients of D's weights are computed only to be thrown away.
        with tf.GradientTape() as tape:
            tape.watch(fakes)
            loss = generator_loss(self.discriminator(fakes, training=True))
            scaled = self.g_optimizer.scale_loss(self._share(loss))
        weights = self.generator.trainable_variables
        gradients = g_tape.gradient(fakes, weights, output_gradients=tape.gradient(scaled, fakes))
        self._apply(self.g_optimizer, gradients, weights)
        return loss

    def _apply(self, optimizer, gradients, weights):
        replicas = self.distribute_strategy.num_replicas_in_sync
        if replicas > 1 and isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
            # It decides whether to skip a step by the first device's gradients: give all the same.
            context = tf.distribute.get_replica_context()
            gradients = context.all_reduce(tf.distribute.ReduceOp.MEAN, gradients)
        optimizer.apply_gradients(zip(gradients, weights, strict=True))

    def _share(self, loss):
        """This device's share of the loss: gradients are summed over devices, not averaged."""
        return loss / self.distribute_strategy.num_replicas_in_sync

    def _reals(self, pixels, index):
        reals = to_float(tf.cast(pixels, self.generator.output.dtype), self.output_activation)
        if self.flip:
            coin = noise.uniform(self.seed, noise.FLIPS, index, self.batch_size, 1, reals.dtype)
            reals = tf.where(coin[..., None, None] < 0.5, reals[:, :, ::-1], reals)
        return reals

    def _latents(self, stream, index):
        length, dtype = self.generator.input_shape[-1], self.generator.output.dtype
        return noise.normal(self.seed, stream, index, self.batch_size, length, dtype)

    def _targets(self, index, dtype):
        """D's targets for reals and fakes, (n, 1) each, in [0, 1]."""
        targets = []
        for stream, start, away in (
            (noise.REAL_TARGETS, 1.0 - self.label_smoothing, -self.label_noise),
            (noise.FAKE_TARGETS, 0.0, self.label_noise),
        ):
            target = tf.fill((tf.shape(index)[0], 1), tf.constant(start, dtype))
            if self.label_noise:
                draw = noise.uniform(self.seed, stream, index, self.batch_size, 1, dtype)
                target = tf.clip_by_value(target + away * draw, 0.0, 1.0)
            targets.append(target)
        return targets

    def _update_means(self, *values):
        """Add this step's values, averaged over all devices, and return the logs."""
        context = tf.distribute.get_replica_context()
        values = tf.stack([*values, tf.cast(self.wants_stop, values[0].dtype)])
        values = context.all_reduce(tf.distribute.ReduceOp.MEAN, values)
        logs = {"stop": values[-1:]}
        for mean, value in zip(self.means, tf.unstack(values[:-1]), strict=True):
            mean.update_state(value)
            logs[mean.name] = tf.reshape(mean.result(), (1,))
        return logs
