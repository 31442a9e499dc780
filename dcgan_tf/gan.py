"""The model: two networks, two optimizers and the step that trains one against the other."""

import keras
import tensorflow as tf

from dcgan_tf import noise
from dcgan_tf.images import to_float
from dcgan_tf.losses import discriminator_loss, generator_loss


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
        self.means = [keras.metrics.Mean(name) for name in ("d_loss", "g_loss", "d_real", "d_fake")]
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

    def train_step(self, data):
        """One step of D on reals and fakes, then one of G against the new D.

        Args:
            data: {"image": uint8 (n, height, width, channels), "index": int64 (n,)}, this
                device's share of the batch.

        Returns:
            dict: the metrics' values so far.
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
        for mean, value in zip(self.means, (d_loss, g_loss, d_real, d_fake), strict=True):
            mean.update_state(value)
        return self._logs()

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
        self.d_optimizer.apply_gradients(zip(tape.gradient(scaled, weights), weights, strict=True))
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
        self.g_optimizer.apply_gradients(zip(gradients, weights, strict=True))
        return loss

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

    def _logs(self):
        return {mean.name: mean.result() for mean in self.means}
