"""Values stay on the device until something is shown or saved, and no NaN is saved."""

import types

import keras
import numpy as np
import pytest
import tensorflow as tf
import tiny_gan

from dcgan_tf.common import checkpoints
from dcgan_tf.common.checkpoints import Journal
from dcgan_tf.common.errors import DIVERGED, UserError
from dcgan_tf.common.runs import Run
from dcgan_tf.data.pipeline import batches
from dcgan_tf.train.callbacks import control
from dcgan_tf.train.callbacks.control import CallbackList, Checkpoint, StepCounter
from dcgan_tf.train.callbacks.logs import MetricsLog
from dcgan_tf.train.callbacks.loss_plot import NAMES
from dcgan_tf.train.callbacks.progress import ProgressBar
from dcgan_tf.train.session import Session


@pytest.fixture
def clock(monkeypatch):
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    return now


def asked(signum=None):
    return types.SimpleNamespace(signum=signum)


def test_losses_are_read_once_a_second_and_not_after_every_step(clock, tmp_path, monkeypatch):
    class OnDevice:
        def __float__(self):
            read.append(journal.step)
            return 0.5

    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    journal, read = Journal(1000, ""), []
    counter = StepCounter(journal, asked())
    bar = ProgressBar(journal, counter)
    kept = [counter, bar, MetricsLog(Run(tmp_path), journal, counter, bar, None)]
    sampler = types.SimpleNamespace(latents=list)
    model = types.SimpleNamespace(batch_size=8, sampler=sampler)
    together = CallbackList(kept, model=model, epochs=1, steps=1000)
    together.on_train_begin()
    together.on_epoch_begin(0)
    for step in range(400):
        clock[0] += 1 / 64
        together.on_train_batch_end(step, dict.fromkeys(NAMES, OnDevice()))
    assert sorted(set(read)) == [1, *range(65, 401, 64)]
    assert len(journal.curve["points"]) == 385  # what came later waits for the next look


@pytest.mark.slow
def test_a_training_gives_its_callbacks_what_is_still_on_the_device():
    seen, journal = [], Journal(3, "")

    class Seen(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            journal.step += 1
            seen.append(logs["g_loss"])

        def on_epoch_end(self, epoch, logs=None):
            seen.append(logs["g_loss"])

    Session(
        **dict.fromkeys(("run", "stop", "restored"), None),
        config=tiny_gan.tiny(batch_size=tiny_gan.BATCH, epochs=1),
        strategy=tf.distribute.get_strategy(),
        model=tiny_gan.build(tiny_gan.tiny()),
        pack=types.SimpleNamespace(pixels=tiny_gan.PIXELS[: 3 * tiny_gan.BATCH], rows=None),
        journal=journal,
        changes=[],
        number=0,
        workers=1,
    ).fit([Seen()])
    assert [type(value) is float for value in seen] == [False, False, False, True]
    assert float(seen[2]) == seen[3]


@pytest.mark.parametrize("workers", [1, 2])
def test_all_is_read_where_something_is_saved(clock, workers):
    stop, found = asked(), []
    counter = StepCounter(Journal(99, ""), stop, 6, workers)
    wish = types.SimpleNamespace(assign=lambda value: None)
    counter.set_model(types.SimpleNamespace(stop_wished=tf.constant(0.0), wants_stop=wish))
    for step in range(1, 15):
        clock[0] += 0.3
        stop.signum = 15 if step == 11 else None
        counter.on_train_batch_end(step - 1)
        found += [step] * counter.now
    # One process: the first, each second (every fourth step), each sixth, and the wish to stop.
    assert found == ([1, 5, 6, 10, 11, 12] if workers == 1 else [4, 6, 8, 12])


@pytest.mark.slow
@pytest.mark.parametrize(("every", "saved"), [(0, []), (3, []), (1, ["step_00000001.npz"])])
def test_nan_ends_a_training_before_anything_of_it_is_saved(every, saved, tmp_path, clock):
    """At an epoch's end, and before a checkpoint within it.

    The losses of step 1 are finite and the weights after it are not usable: step 2 tells, so a
    checkpoint of step 1 is not called good.
    """
    model, written = tiny_gan.build(tiny_gan.tiny()), []
    model.compile(keras.optimizers.SGD(1e30), keras.optimizers.SGD(0.1))

    class Writer(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            written.append(epoch)

    run, journal, config = Run(tmp_path), Journal(99, ""), tiny_gan.tiny(checkpoint_steps=every)
    run.checkpoints.mkdir()
    counter = StepCounter(journal, asked(), every)
    counter._last = 0  # no second passes
    save = Checkpoint(run, journal, config, counter)
    kept = [counter, control.StopAtNaN(run, counter), Writer(), save]
    data = batches(tiny_gan.PIXELS, batch_size=tiny_gan.BATCH, seed=0)
    with pytest.raises(UserError, match=r"NaN at step 2 \(d_loss .*no checkpoint yet") as caught:
        model.fit(data, callbacks=kept, steps_per_epoch=5, verbose=0)
    assert caught.value.code == DIVERGED and not written
    assert [path.name for path in checkpoints.files(run.checkpoints)] == saved


def test_weights_that_are_no_numbers_are_not_saved(tmp_path):
    model = tiny_gan.build(tiny_gan.tiny())
    run, journal, config = Run(tmp_path), Journal(9, "", 7), tiny_gan.tiny()
    run.checkpoints.mkdir()
    checkpoint = Checkpoint(run, journal, config, StepCounter(journal, asked()))
    checkpoint.set_model(model)
    checkpoint.save()
    journal.step = 8
    before = run.generator.read_bytes()
    weight = model.generator.trainable_variables[0]
    for value in (np.nan, np.inf):
        weight.assign(np.full(weight.shape, value))
        with pytest.raises(UserError, match=r"by step 8; .*step_00000007\.npz") as caught:
            checkpoint.save()
        assert caught.value.code == DIVERGED
    assert run.generator.read_bytes() == before
    assert [path.name for path in checkpoints.files(run.checkpoints)] == ["step_00000007.npz"]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"checkpoint_steps": 2}, [2, 4, 6, 8, 10, 12, 14, 15]),
        ({"checkpoint_minutes": 1.0}, [4, 8, 12, 15]),
        ({}, [15]),
    ],
)
def test_steps_and_minutes_count_at_the_ends_of_epochs_too(clock, settings, expected, tmp_path):
    journal, saved = Journal(3, ""), []
    settings = {"checkpoint_minutes": 0.0, "checkpoint_every": 5, **settings}
    counter = StepCounter(journal, asked(), 1)
    checkpoint = Checkpoint(Run(tmp_path), journal, tiny_gan.tiny(**settings), counter)
    checkpoint.set_params({"epochs": 5})

    def save():
        saved.append(journal.step)
        checkpoint._saved = clock[0]

    checkpoint.save = save
    for epoch in range(5):
        for batch in range(3):
            clock[0] += 20
            counter.on_train_batch_end(batch)
            checkpoint.on_train_batch_end(batch)
        checkpoint.on_epoch_end(epoch)
    assert saved == expected
