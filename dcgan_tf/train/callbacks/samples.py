"""Sample grids, and their animation."""

import os
from pathlib import Path

from PIL import Image

from dcgan_tf.common.animations import FRAMES, kind_of, save_animation
from dcgan_tf.common.images import (
    GAP,
    default_scale,
    enlarge,
    evenly,
    read_grid,
    save_png,
)
from dcgan_tf.common.runs import sample_file, sample_files
from dcgan_tf.train.callbacks.base import GANCallback, PeriodicImage, attempt

GIF_SIDE = 300  # pixels, at most, where a single image is not larger
GIF_SECONDS = 20  # writing 60 frames takes one


class SampleGrid(GANCallback):
    """Save a grid of the images of seeds 0, 1, ..., as `generate.py` makes them.

    Args:
        folder: for epoch_0001.png, ...; made if it is missing.
        count: number of images.
        every: epochs between two grids; the last epoch always has one.

    Examples:
        >>> from dcgan_tf import DCGAN, Config, ProgressGif, SampleGrid, images_dataset
        >>> model = DCGAN.from_config(Config(width=0.02, batch_size=8))
        >>> images = images_dataset("images", batch_size=8)
        >>> own = [SampleGrid("samples", count=4), ProgressGif("progress.gif", "samples")]
        >>> _ = model.fit(images, epochs=2, verbose=0, callbacks=own)
    """

    def __init__(self, folder: str | os.PathLike, count: int = 64, every: int = 1):
        super().__init__()
        self.folder = Path(folder).expanduser()
        self._count, self._every, self._unwritten = count, every, {}

    def on_train_begin(self, logs=None):
        self.folder.mkdir(parents=True, exist_ok=True)

    def on_epoch_end(self, epoch, logs=None):
        if self.is_due(epoch, self._every):
            canvas, text = self.model.sampler.grid(self._count)
            scale = default_scale(canvas.shape[1])
            text |= {"epoch": epoch + 1, "scale": scale}
            path = sample_file(self.folder, epoch + 1)
            self._unwritten[path] = enlarge(canvas, scale), text
            for path in list(self._unwritten):  # earlier ones too that could not be written then
                with attempt(path):
                    save_png(path, *self._unwritten[path])
                    del self._unwritten[path]


class ProgressGif(PeriodicImage):
    """Animate the sample grids so far in a GIF of at most 60 frames, evenly chosen.

    It is written after a sample, at most every 20 seconds, and at the end or a stop. Of large grids
    it shows the corner, to fit into a page.

    Args:
        path: the file, which ends in .gif, .webp or .mp4.
        samples: the folder of a SampleGrid that comes before this callback.

    Examples:
        >>> from dcgan_tf import ProgressGif
        >>> callback = ProgressGif("progress.gif", "samples")  # after a SampleGrid("samples")
    """

    def __init__(self, path: str | os.PathLike, samples: str | os.PathLike):
        super().__init__(path)
        kind_of(self.path)  # refused now, not in each epoch
        self._samples, self._done = Path(samples), 0  # grids of epochs not yet done are not shown

    def on_train_begin(self, logs=None):
        super().on_train_begin()
        step = self.model.inference_generator.output_shape[2] + GAP
        self._side = max(GIF_SIDE // step, 1) * step - GAP

    def on_epoch_end(self, epoch, logs=None):
        self._done = epoch + 1
        if sample_file(self._samples, self._done).exists():
            self.redraw(0 if self.is_last(epoch) else GIF_SECONDS)

    def draw(self):
        files = [p for number, p in sample_files(self._samples).items() if number <= self._done]
        frames = []
        for path in evenly(files, FRAMES["gif"]):
            with attempt(path):  # Pillow raises many kinds for what is no PNG or damaged
                frames.append(self._corner(path))
        if frames:  # a changed --sample-count changes the size: keep those like the last
            save_animation(self.path, [f for f in frames if f.size == frames[-1].size])

    def _corner(self, path) -> Image.Image:
        """The upper left of a grid, enlarged to at most GIF_SIDE."""
        plain = read_grid(path)
        cut = plain.crop((0, 0, min(self._side, plain.width), min(self._side, plain.height)))
        factor = max(GIF_SIDE // cut.width, 1)
        return cut.resize((cut.width * factor, cut.height * factor), Image.Resampling.NEAREST)
