"""Sample grids, and the animation of them."""

import keras
from PIL import Image

from dcgan_tf.common.images import GAP, grid, save_gif, save_png
from dcgan_tf.models.sampling import seed_latents

GIF_SIDE = 300  # pixels, at most


class SampleGrid(keras.callbacks.Callback):
    """Pictures of seeds 0, 1, ... after every k epochs: what `generate.py` makes of these seeds."""

    def __init__(self, run, sampler, count, every, epochs):
        super().__init__()
        self._run, self._sampler = run, sampler
        self._latents = seed_latents(range(count), sampler.latent_dim)
        self._every, self._epochs = every, epochs

    def on_epoch_end(self, epoch, logs=None):
        if (epoch + 1) % self._every == 0 or epoch + 1 == self._epochs:
            pictures = grid(self._sampler.array(self._latents))
            save_png(self._run.sample(epoch + 1), pictures, {"epoch": epoch + 1})


class ProgressGif(keras.callbacks.Callback):
    """progress.gif: the sample grids so far, after 1, 2, 4, 8, ... epochs and after the last.

    Each writing takes as long as there are grids; doubling keeps the sum of them small. Of large
    grids only the corner is shown, so that the file fits into a page.

    Args:
        image_size: side of one picture in the grids, pixels.
    """

    def __init__(self, run, epochs, image_size):
        super().__init__()
        self._run, self._epochs = run, epochs
        step = image_size + GAP
        self._side = max(GIF_SIDE // step, 1) * step - GAP

    def on_epoch_end(self, epoch, logs=None):
        done = epoch + 1
        if done & (done - 1) == 0 or done >= self._epochs:
            self._write(done)

    def _write(self, done):
        frames = []
        for path in self._run.sample_files():
            if int(path.stem[6:]) <= done:  # none of an epoch that has to be done again
                with Image.open(path) as image:
                    corner = (min(self._side, image.width), min(self._side, image.height))
                    frames.append(image.crop((0, 0, *corner)))
        if frames:  # a changed --sample-count changes the size: keep those like the last
            save_gif(self._run.progress, [f for f in frames if f.size == frames[-1].size])
