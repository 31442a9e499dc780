"""metrics.jsonl: the diversity is that of seeds 0 to 31, drawn once if the grid has them too."""

import json
import types

import numpy as np
import pytest

from dcgan_tf.common.checkpoints import Journal
from dcgan_tf.common.foreign import read_lines
from dcgan_tf.common.runs import Run
from dcgan_tf.models.sampling import CHUNK, seed_latents
from dcgan_tf.train.callbacks.logs import MetricsLog
from dcgan_tf.train.callbacks.progress import Pace
from dcgan_tf.train.callbacks.samples import SampleGrid

NEVER = types.SimpleNamespace(now=False)
LOGS = dict.fromkeys(("d_loss", "g_loss", "d_real", "d_fake"), 0.5)


class Sampler:
    """Images of one value, the first number of their latent; and how many were drawn."""

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
    log = MetricsLog(run, journal, Pace(journal, 8, 2), 2, Mean(), grids, NEVER)
    model = types.SimpleNamespace(batch_size=8, sampler=Sampler())
    for callback in (grids, log):
        callback.set_model(model)
        callback.on_train_begin()
    for epoch in range(2):
        log.on_epoch_begin(epoch)
        for callback in (grids, log):
            callback.on_epoch_end(epoch, LOGS)
    found = {record["diversity"] for record in read_lines(run.metrics)}
    assert model.sampler.count == drawn
    fixed = seed_latents(range(CHUNK), Sampler.latent_dim)
    assert found == set(Mean().measure(Sampler().array(fixed)).values())


@pytest.mark.parametrize(
    "damage",
    [b"", b"[" * 10_000, b"\0" * 100, b'{"epoch": [1]}\n7\nnull\n{"epoch": 1e400}\n', b"{"],
)
def test_a_damaged_timing_jsonl_is_made_again(tmp_path, damage):
    run, journal = Run(tmp_path), Journal(2, "", 2)
    whole = {"epoch": 1, "seconds": 2.0}
    run.timing.write_bytes(json.dumps(whole).encode() + b"\n" + damage)
    grids = types.SimpleNamespace(drawn=None)
    log = MetricsLog(run, journal, Pace(journal, 8, 2), 2, Mean(), grids, NEVER)
    log.set_model(types.SimpleNamespace(batch_size=8, sampler=Sampler()))
    log.on_train_begin()
    log.on_epoch_begin(1)
    journal.step = 4
    log.on_epoch_end(1, LOGS)
    first, last = read_lines(run.timing)
    assert first == whole and last["epoch"] == 2 and last["peak_memory_mb"] > 0
