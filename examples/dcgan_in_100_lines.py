"""A DCGAN (Radford et al. 2015, arXiv 1511.06434) in plain Keras, to be read from top to bottom.

    python examples/dcgan_in_100_lines.py FOLDER [EPOCHS]

trains on the images in FOLDER and writes `samples.png` after each epoch. The package has this step
with what a real training needs: exact resume, an EMA, scores, several devices (models/gan.py).
"""

import sys

import keras
import numpy as np
import tensorflow as tf
from keras import layers

SIZE, LATENT, BATCH = 64, 100, 8
INIT = keras.initializers.RandomNormal(stddev=0.02)


def build_generator():
    x = latents = keras.Input((LATENT,))  # to images (n, SIZE, SIZE, 3) in [-1, 1]
    x = layers.Dense(4 * 4 * 256, kernel_initializer=INIT)(x)
    x = layers.Reshape((4, 4, 256))(x)
    for channels in (128, 64, 32):
        x = layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))
        # Each transposed convolution doubles the side: 4, 8, 16, 32, and 64 with the last one.
        x = layers.Conv2DTranspose(channels, 4, 2, "same", kernel_initializer=INIT)(x)
    x = layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))
    x = layers.Conv2DTranspose(3, 4, 2, "same", activation="tanh", kernel_initializer=INIT)(x)
    return keras.Model(latents, x, name="generator")


def build_discriminator():
    x = images = keras.Input((SIZE, SIZE, 3))  # to logits (n, 1), above 0 for real
    for number, channels in enumerate((32, 64, 64)):
        x = layers.Conv2D(channels, 4, 2, "same", kernel_initializer=INIT)(x)
        if number:  # no BatchNorm on D's first layer: it needs the colors of the single image
            x = layers.BatchNormalization(momentum=0.9)(x)
        x = layers.LeakyReLU(0.2)(x)
    return keras.Model(images, layers.Dense(1)(layers.Flatten()(x)), name="discriminator")


class DCGAN(keras.Model):
    def __init__(self):
        super().__init__()
        self.generator, self.discriminator = build_generator(), build_discriminator()
        self.bce = keras.losses.BinaryCrossentropy(from_logits=True)
        self.d_loss, self.g_loss = keras.metrics.Mean("d_loss"), keras.metrics.Mean("g_loss")
        self.g_optimizer = keras.optimizers.Adam(2e-4, beta_1=0.5)
        self.d_optimizer = keras.optimizers.Adam(2e-4, beta_1=0.5)
        self.compile(optimizer=None)  # two networks need two optimizers, those above

    @property
    def metrics(self):  # Keras resets these at the start of each epoch
        return [self.d_loss, self.g_loss]

    def train_step(self, real_images):  # training=True, or BatchNorm learns no statistics
        real_images = real_images / 127.5 - 1
        latents = tf.random.normal((tf.shape(real_images)[0], LATENT))

        with tf.GradientTape() as tape:
            # Two passes: in one batch of both, D's BatchNorm alone would tell real from generated.
            real_logits = self.discriminator(real_images, training=True)
            fake_logits = self.discriminator(self.generator(latents, training=True), training=True)
            d_loss = self.bce(tf.ones_like(real_logits), real_logits) / 2
            d_loss += self.bce(tf.zeros_like(fake_logits), fake_logits) / 2
        weights = self.discriminator.trainable_variables
        self.d_optimizer.apply(tape.gradient(d_loss, weights), weights)

        with tf.GradientTape() as tape:
            fake_logits = self.discriminator(self.generator(latents, training=True), training=True)
            # -log D(G(z)), not log(1 - D(G(z))): its gradient stays when D is sure of itself.
            g_loss = self.bce(tf.ones_like(fake_logits), fake_logits)
        weights = self.generator.trainable_variables
        self.g_optimizer.apply(tape.gradient(g_loss, weights), weights)

        self.d_loss.update_state(d_loss)  # ln 2 = 0.69 where D can only guess
        self.g_loss.update_state(g_loss)
        return {metric.name: metric.result() for metric in self.metrics}


class SaveSamples(keras.callbacks.Callback):
    latents = np.random.RandomState(0).randn(64, LATENT)  # the same after every epoch

    def on_epoch_end(self, epoch, logs=None):
        images = self.model.generator.predict(self.latents, verbose=0).reshape(8, 8, SIZE, SIZE, 3)
        grid = images.transpose(0, 2, 1, 3, 4).reshape(8 * SIZE, 8 * SIZE, 3)
        keras.utils.array_to_img((grid + 1) * 127.5, scale=False).save("samples.png")


def main(folder, epochs=50):
    images = keras.utils.image_dataset_from_directory(
        folder, labels=None, image_size=(SIZE, SIZE), crop_to_aspect_ratio=True, batch_size=None
    )
    batches = images.shuffle(1000).batch(BATCH, drop_remainder=True).prefetch(1)
    DCGAN().fit(batches, epochs=int(epochs), shuffle=False, callbacks=[SaveSamples()])


if __name__ == "__main__":
    main(*sys.argv[1:])
