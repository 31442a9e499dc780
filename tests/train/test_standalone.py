"""The callbacks in a fit of one's own: no run directory, no config."""

import json

import keras
import numpy as np
import pytest
import tiny_gan
from PIL import Image
from tiny_inception import TinyInception

from dcgan_tf.common.foreign import read_lines
from dcgan_tf.common.images import grid
from dcgan_tf.data.pipeline import batches
from dcgan_tf.evaluate import scorer
from dcgan_tf.models.sampling import Sampler, seed_latents, weights_sha256
from dcgan_tf.train.callbacks.loss_plot import LossPlot
from dcgan_tf.train.callbacks.samples import ProgressGif, SampleGrid
from dcgan_tf.train.callbacks.scores import Scores


class Seen(keras.callbacks.Callback):
    """What a callback that comes last finds in the logs of each epoch."""

    def __init__(self):
        super().__init__()
        self.names = []

    def on_epoch_end(self, epoch, logs=None):
        self.names.append(set(logs))


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    """A folder with what the callbacks left of three epochs, the model, and the logs' names."""
    folder = tmp_path_factory.mktemp("fitted")
    model = tiny_gan.build(tiny_gan.tiny(), keras.optimizers.Adam)  # frames that differ clearly
    seen = Seen()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scorer, "load_inception", lambda path: TinyInception())
        model.fit(
            batches(tiny_gan.PIXELS, batch_size=tiny_gan.BATCH, seed=0),
            steps_per_epoch=5,
            epochs=3,
            verbose=0,
            shuffle=False,
            callbacks=[
                SampleGrid(folder / "new/samples", count=5, every=2),
                LossPlot(folder / "losses.png"),
                ProgressGif(folder / "progress.gif", folder / "new/samples"),
                Scores(folder / "scored", tiny_gan.PIXELS, every=2, count=16),
                seen,
            ],
        )
    return folder, model, seen.names


def test_samples_are_those_of_the_seeds_and_plot_and_animation_are_there(fitted):
    folder, model, _ = fitted
    names = sorted(path.name for path in (folder / "new/samples").iterdir())
    assert names == ["epoch_0002.png", "epoch_0003.png"]
    sampler = Sampler(model.generator)
    expected = grid(sampler.array(seed_latents(range(5), sampler.latent_dim)))
    with Image.open(folder / "new/samples/epoch_0003.png") as image:
        scale = int(image.text["scale"])
        assert image.width >= 500 and image.width == scale * expected.shape[1]
        np.testing.assert_array_equal(np.asarray(image)[::scale, ::scale], expected)
    with Image.open(folder / "losses.png") as image, Image.open(folder / "progress.gif") as gif:
        assert image.width > 800 and gif.n_frames == 2


def test_scores_are_kept_with_the_best_generator_and_go_into_the_logs(fitted):
    folder, _, names = fitted
    (record,) = read_lines(folder / "scored/evaluation.jsonl")
    assert (record["epoch"], record["step"]) == (2, 10)
    assert record["floor"]["fid_768"] > 0 and record["protocol"]["scored_count"] == 16
    assert json.loads((folder / "scored/best/score.json").read_text()) == record
    kept = keras.saving.load_model(folder / "scored/best/generator.keras", compile=False)
    assert weights_sha256(kept) == record["protocol"]["generator_sha256"]
    assert (folder / "scored/scores.png").stat().st_size > 5000
    scores = {"scores/fid_768", "scores/recall"}
    assert [scores <= epoch for epoch in names] == [False, True, False]
