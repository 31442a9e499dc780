"""metrics.jsonl: the diversity is that of seeds 0 to 31, drawn once if the grid has them too."""

import types

import numpy as np
import pytest

from dcgan_tf.common.checkpoints import Journal
from dcgan_tf.common.foreign import read_lines
from dcgan_tf.common.runs import Run
from dcgan_tf.models.sampling import CHUNK
from dcgan_tf.train.callbacks.logs import MetricsLog
from dcgan_tf.train.callbacks.progress import Pace
from dcgan_tf.train.callbacks.samples import SampleGrid

LOGS = dict.fromkeys(("d_loss", "g_loss", "d_real", "d_fake"), 0.5)


class Sampler:
    """Pictures of one value, the first number of their latent; and how many were drawn."""

    latent_dim = 3

    def __init__(self):
        self.count = 0

    def array(self, latents):
        self.count += len(latents)
        values = np.uint8(100 + 20 * latents[:, :1, None, None])
        return np.broadcast_to(values, (len(latents), 4, 4, 3))


class Mean:
    """Stands for the diversity."""

    def measure(self, pictures):
        assert len(pictures) == CHUNK
        return {"diversity": float(pictures.mean())}


@pytest.mark.parametrize(("count", "every", "drawn"), [(40, 1, 80), (40, 2, 72), (8, 1, 80)])
def test_diversity_is_of_the_same_seeds_whatever_the_grid_shows(tmp_path, count, every, drawn):
    run, journal = Run(tmp_path), Journal(5, "")
    grids = SampleGrid(run.samples, count, every, epochs=2)
    log = MetricsLog(run, journal, Pace(journal, 8, 2), 2, Mean(), grids)
    model = types.SimpleNamespace(batch_size=8, sampler=Sampler())
    for callback in (grids, log):
        callback.set_model(model)
        callback.on_train_begin()
    for epoch in range(2):
        log.on_epoch_begin(epoch)
        for callback in (grids, log):
            callback.on_epoch_end(epoch, LOGS)
    found = {record["diversity"] for record in read_lines(run.metrics)}
    everybody = MetricsLog(run, journal, None, 2, Mean(), SampleGrid(run.samples, 1))
    everybody.set_model(model)
    everybody.on_train_begin()
    assert model.sampler.count == drawn
    assert found == set(Mean().measure(everybody._pictures(0)).values())
