"""G set to its average: once, at its step, also where a run goes on from just that step."""

import numpy as np
import pytest
from tiny_gan import BATCH, PIXELS, build, tiny

from dcgan_tf.common.checkpoints import Journal
from dcgan_tf.data.pipeline import batches
from dcgan_tf.models.ema import HalfLife
from dcgan_tf.train.callbacks.midway import AverageIntoG


@pytest.mark.slow
@pytest.mark.parametrize(("images", "step"), [(0, None), (1, 1), (BATCH, 1), (BATCH + 1, 2)])
def test_g_becomes_its_average_before_the_step_after_so_many_images(images, step):
    model, journal = build(tiny(), ema=HalfLife(1000, ramp=0)), Journal(4, "")
    callback = AverageIntoG(journal, tiny(average_into_g=images, batch_size=BATCH))
    callback.set_model(model)
    became = []
    for _ in range(4):
        before = model.generator.get_weights()
        callback.on_train_batch_begin(0)
        if any((a != b).any() for a, b in zip(before, model.generator.get_weights(), strict=True)):
            became.append(journal.step)
            for own, mean in zip(
                model.generator.get_weights(), model.averaged.get_weights(), strict=True
            ):
                np.testing.assert_array_equal(own, mean)
        data = batches(PIXELS, batch_size=BATCH, seed=0, first_step=journal.step)
        model.fit(data, steps_per_epoch=1, verbose=0)
        journal.step += 1
    assert became == ([] if step is None else [step])
