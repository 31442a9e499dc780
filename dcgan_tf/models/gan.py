"""The DCGAN model: two networks, two optimizers and the training step."""

import functools
from typing import Any

import keras
import tensorflow as tf

from dcgan_tf.common.labels import Labels
from dcgan_tf.models import losses, noise
from dcgan_tf.models.adversaries import Adversaries
from dcgan_tf.models.batches import check_networks, check_outputs
from dcgan_tf.models.ema import copy_of, update
from dcgan_tf.models.forward import forward
from dcgan_tf.models.pixels import range_of, to_float
from dcgan_tf.models.sampling import Sampler

WRONG_WEIGHT = 0.25  # of D's loss on wrong labels; that on generated images weighs 1


@keras.saving.register_keras_serializable("dcgan_tf")
class DCGAN(Adversaries):
    """A deep convolutional GAN (Radford et al. 2015) for `fit` on uint8 images.

    A batch is {"image": uint8 (n, height, width, channels), "index": int64 (n,)}, as from the
    pipeline, or images alone. With labels it also has "label", (n, labels) of 0 and 1: fakes get
    those of the batch's real images, and D also learns from these with wrong labels. All random
    numbers are keyed by the index, so a training that resumes after a kill, or on another number of
    devices, draws the same numbers. For images alone, the index is computed from the number of D's
    steps.

    Metrics are means over the epoch: `d_loss`, `g_loss`, and D(x), the mean of sigmoid(logit),
    over real (`d_real`) and fake images (`d_fake`).

    Args:
        generator: (n, latent_dim) to images, ending in a sigmoid ([0, 1]) or a tanh ([-1, 1]).
        discriminator: images to logits (n, 1), or (n, 1 + labels) with labels.
        batch_size: images per step over all devices.
        seed: seed of the latents and all other random numbers.
        loss: object with two methods, as losses.NonSaturating, the default.
        augment: function of (real images as floats in G's range, rng) that returns the real images
            for D.
        d_augment: differentiable function of (images, rng, stream) that returns the real or fake
            images for D (augment.py).
        penalty: function of (gradients of the real logits with respect to the real images, the same
            for fakes, rng) that returns a scalar to add to D's loss (penalties.py).
        ema: function of (images seen, batch size) that returns the decay of G's EMA in a step
            (ema.py); None: no EMA.
        fresh_fakes: generate new fakes for G's step, at the cost of another pass through G.

    Attributes:
        ema_generator: the EMA of `generator`; None without `ema`.
        inference_generator: the network to generate with, one of these two.
        sampler: sampling.Sampler of `inference_generator`.
        diverged: float64 (3,), the first step whose losses were NaN or infinite, counted from 1,
            its d_loss and its g_loss; zeros if there was none.

    Examples:
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
        loss: Any = None,
        augment: Any = None,
        d_augment: Any = None,
        penalty: Any = None,
        ema: Any = None,
        fresh_fakes: bool = False,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        check_networks(generator, discriminator)
        self.generator, self.discriminator = generator, discriminator
        self.batch_size, self.seed = batch_size, seed
        self._range = range_of(generator)
        self.loss_terms = losses.check_loss(loss or losses.NonSaturating())
        self._pairs = getattr(self.loss_terms, "pairs", False)
        self.augment, self.d_augment, self.penalty = augment, d_augment, penalty
        self.ema, self.fresh_fakes = ema, fresh_fakes
        self.ema_generator = copy_of(generator) if ema else None
        self.built = True  # both networks are; else Keras tries, and fails under a strategy

    @property
    def averaged(self) -> keras.Model | None:
        """Old name of `ema_generator`: Keras saves by name, and files have this one."""
        return self.ema_generator

    @property
    def inference_generator(self) -> keras.Model:
        return self.ema_generator or self.generator

    @functools.cached_property
    def sampler(self) -> Sampler:
        return Sampler(self.inference_generator)

    def call(self, latents: tf.Tensor, training: bool = False) -> Any:
        network = self.generator if training else self.inference_generator
        return network(latents, training=training)

    def train_step(self, data: Any) -> dict[str, Any]:
        """Train D on real and fake images, then G against the new D.

        `data` is this device's share of a batch. Returns the metrics so far, as tensors.
        """
        if isinstance(data, tuple):  # from train_on_batch
            data = data[0]
        if not isinstance(data, dict):
            data = {"image": data, "index": self.count_images(tf.shape(data)[0])}
        rng = noise.BatchRNG(self.seed, data["index"], self.batch_size)
        dtype = self.generator.outputs[0].dtype
        labels = tf.cast(data["label"], dtype) if self.labels else None
        reals = to_float(tf.cast(data["image"], dtype), self._range)
        if self.augment:
            reals = self.augment(reals, rng)
        # `forward` passes training=True; otherwise BatchNorm would never update its statistics.
        with tf.GradientTape() as g_tape:
            fakes = forward(self.generator, self._draw_latents(noise.LATENTS, rng, labels))
        fixed = tf.stop_gradient(fakes)
        d_loss, d_real, d_fake = self._train_discriminator(reals, fixed, labels, rng)
        if self.fresh_fakes:
            latents = self._draw_latents(noise.FRESH_LATENTS, rng, labels)
            with tf.GradientTape() as g_tape:
                fakes = forward(self.generator, latents)
        g_loss = self._train_generator(fakes, g_tape, reals, labels, rng)
        if self.ema and self.ema_generator:
            decay = self.ema(rng.images_seen + self.batch_size, self.batch_size)
            update(self.ema_generator, self.generator, decay)
        return self.update_means(rng.step + 1, d_loss, g_loss, d_real, d_fake)

    def _draw_latents(self, stream: int, rng: noise.BatchRNG, labels: Any):
        length, dtype = self.generator.input_shape[-1], self.generator.outputs[0].dtype
        if labels is None:
            return rng.normal(stream, length, dtype)
        return tf.concat([rng.normal(stream, length - labels.shape[1], dtype), labels], axis=1)

    def _compute_logits(self, images: tf.Tensor, labels: Any):
        return self._add_labels(forward(self.discriminator, images), labels)

    def _add_labels(self, outputs: tf.Tensor, labels: Any):
        """Add to D's logit of each image those of the labels that it has."""
        if labels is None:
            return outputs
        check_outputs(outputs.shape, self.labels)
        # As a product of matrices: the gradient of a sum over an axis would compute on the host.
        added = tf.matmul(outputs[:, None, 1:], tf.cast(labels, outputs.dtype)[:, :, None])
        return outputs[:, :1] + added[:, 0]

    def _train_discriminator(
        self, reals: tf.Tensor, fakes: tf.Tensor, labels: Any, rng: noise.BatchRNG
    ):
        reals, fakes = self._augment_both(reals, fakes, rng)
        with tf.GradientTape() as tape:
            # Inside the other tape, so that the penalty's gradients reach D's weights.
            with tf.GradientTape(persistent=True) as pixel_tape:
                pixel_tape.watch([reals, fakes])
                # Two passes: in a single pass BatchNorm would mix the statistics of real and fake
                # images. D would separate them by these alone, and fail in G's step, which has only
                # fakes.
                outputs = forward(self.discriminator, reals)
                real_logits = self._add_labels(outputs, labels)
                fake_logits = self._compute_logits(fakes, labels)
            loss = self.loss_terms.discriminator(real_logits, fake_logits, rng)
            losses.check_scalar(loss, self.loss_terms, "discriminator")
            if self.labels:
                # Real images with wrong labels count as fakes, too (Reed et al. 2016): from fakes
                # alone, D learns too little about rare labels. They need no further pass.
                wrong = draw_wrong_labels(self.labels, labels, rng)
                wrong_logits = self._add_labels(outputs, wrong)
                loss += WRONG_WEIGHT * self.loss_terms.discriminator(real_logits, wrong_logits, rng)
                loss /= 1 + WRONG_WEIGHT
            if self.penalty:
                by_reals = pixel_tape.gradient(real_logits, reals)
                added = self.penalty(by_reals, pixel_tape.gradient(fake_logits, fakes), rng)
                loss += losses.check_scalar(added, self.penalty)
            scaled = self.scale_loss(self.d_optimizer, loss)
        weights = self.discriminator.trainable_variables
        self.apply_gradients(self.d_optimizer, tape.gradient(scaled, weights), weights)
        means = getattr(self.loss_terms, "mean_probabilities", losses.mean_probabilities)
        probabilities = means(real_logits, fake_logits)
        for each in probabilities:
            losses.check_scalar(each, self.loss_terms, "mean_probabilities")
        return loss, *probabilities

    def _train_generator(
        self, fakes: Any, g_tape: Any, reals: Any, labels: Any, rng: noise.BatchRNG
    ):
        # The chain rule in two parts, through D and through G: this reuses G's pass from before D's
        # step, and computes no gradients for D's weights, which G's step does not need.
        with tf.GradientTape() as tape:
            tape.watch(fakes)
            reals, augmented = self._augment_both(reals, fakes, rng)
            logits = [self._compute_logits(augmented, labels)]
            if self._pairs:
                logits.append(self._compute_logits(reals, labels))
            loss = self.loss_terms.generator(*logits)
            losses.check_scalar(loss, self.loss_terms, "generator")
            scaled = self.scale_loss(self.g_optimizer, loss)
        weights = self.generator.trainable_variables
        gradients = g_tape.gradient(fakes, weights, output_gradients=tape.gradient(scaled, fakes))
        self.apply_gradients(self.g_optimizer, gradients, weights)
        return loss

    def _augment_both(self, reals: tf.Tensor, fakes: tf.Tensor, rng: noise.BatchRNG):
        """Augment the images for D; with a loss that pairs images, both get the same change."""
        if not self.d_augment:
            return reals, fakes
        stream = noise.AUGMENT_REALS if self._pairs else noise.AUGMENT_FAKES
        reals = self.d_augment(reals, rng, noise.AUGMENT_REALS)
        return reals, self.d_augment(fakes, rng, stream)


def draw_wrong_labels(names: Labels, labels: tf.Tensor, rng: noise.BatchRNG) -> tf.Tensor:
    """Draw another class for each image, or change one attribute: (n, labels) of 0 and 1."""
    drawn = rng.uniform(noise.WRONG_LABELS, 1)[:, 0]
    if names.classes:  # in floats, because a GPU leaves sums of integers to the host
        own = tf.cast(tf.argmax(labels, axis=1), drawn.dtype)
        other = tf.floor(drawn * (names.n - 1))
        other += tf.cast(other >= own, drawn.dtype)  # skips the image's own class
        return tf.one_hot(tf.cast(other, tf.int64), names.n, dtype=labels.dtype)
    changed = tf.cast(drawn * names.n, tf.int64)
    return tf.abs(labels - tf.one_hot(changed, names.n, dtype=labels.dtype))
