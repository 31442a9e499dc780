"""What people look at: that it shows what it should, at a size that they can open."""

import numpy as np
import pytest
from PIL import Image

from dcgan_tf.common.images import grid, save_png
from dcgan_tf.common.runs import Run
from dcgan_tf.train.callbacks.samples import ProgressGif


@pytest.mark.parametrize(("size", "side"), [(64, 4 * 66 - 2), (28, 8 * 30 - 2), (400, 400)])
def test_gif_shows_whole_pictures_of_the_corner_at_most_300_wide(tmp_path, size, side):
    run = Run(tmp_path)
    run.samples.mkdir()
    for epoch in (1, 2, 3):
        random = np.random.RandomState(epoch)
        pictures = random.randint(0, 256, (64, size, size, 3), dtype=np.uint8)
        save_png(run.sample(epoch), grid(pictures))
    ProgressGif(run, 2, size).on_epoch_end(1)  # the third is of an epoch that is done again
    with Image.open(run.progress) as gif:
        assert (gif.size, gif.n_frames) == ((side, side), 2)


def test_gif_is_written_after_1_2_4_8_epochs_and_the_last(tmp_path):
    run = Run(tmp_path)
    run.samples.mkdir()
    written = []
    for epoch in range(1, 12):
        save_png(run.sample(epoch), np.full((8, 8, 3), epoch, np.uint8))
        ProgressGif(run, 11, 8).on_epoch_end(epoch - 1)
        if run.progress.exists():
            written.append(epoch)
            run.progress.unlink()
    assert written == [1, 2, 4, 8, 11]
