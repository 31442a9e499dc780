"""losses.png: a curve over the steps that is bounded, survives a kill and is drawn in time."""

import dataclasses
import itertools
import json
import math
import types

import numpy as np
import pytest

from dcgan_tf.common.checkpoints import Journal
from dcgan_tf.models.losses import Hinge
from dcgan_tf.train.callbacks import loss_plot
from dcgan_tf.train.callbacks.curve import NAMES, POINTS, Curve
from dcgan_tf.train.callbacks.loss_plot import LossPlot


def record(journal, values, read_every=1, last=None):
    """Feed an epoch's `values` (steps, 4) as fit does, as running means; what is done is left out.

    Returns:
        The Curve.
    """
    curve = Curve(journal)
    for count in range(journal.step % len(values) + 1, (last or len(values)) + 1):
        journal.step += 1
        logs = dict(zip(NAMES, values[:count].mean(0), strict=True))
        curve.add(logs)
        if count % read_every == 0:
            curve.read()
    if last is None:
        curve.end_epoch(logs)
    curve.read()
    return curve


def test_points_are_the_means_over_their_steps_and_never_too_many():
    values = np.random.default_rng(0).uniform(0, 2, (7, 1000, 4))
    journal = Journal(1000, "")
    for epoch in values:
        curve = record(journal, epoch)
        assert len(curve.points) < POINTS
    steps = np.array([0, *(point[0] for point in curve.points)])
    assert set(np.diff(steps)) == {16}
    flat = values.reshape(-1, 4)
    expected = [flat[a:b].mean(0) for a, b in itertools.pairwise(steps)]
    np.testing.assert_allclose([p[1:] for p in curve.points], expected, atol=5e-6)


def test_neither_a_kill_within_an_epoch_nor_the_moments_of_reading_leave_a_trace():
    values = np.random.default_rng(0).uniform(0, 2, (3, 300, 4))
    whole, killed = Journal(300, ""), Journal(300, "")
    for epoch in values:
        record(whole, epoch, read_every=97)
    for epoch in values:
        record(killed, epoch, last=121)
        saved = json.dumps(dataclasses.asdict(killed))  # a checkpoint
        record(killed, epoch, last=200)  # lost
        killed = Journal(**json.loads(saved))
        record(killed, epoch)
    assert killed.curve == whole.curve


def test_the_curve_of_an_older_checkpoint_goes_on():
    values = np.random.default_rng(0).uniform(0, 2, (2, 60, 4))
    whole, old = Journal(60, ""), Journal(60, "")
    record(whole, values[0])
    points = json.loads(json.dumps(whole.curve["points"]))
    sums = [60, *values[0].sum(0).tolist()]
    old.curve = {"start": 0, "stride": 1, "points": points, "epochs": sums, "last": sums}
    old.step = 60
    record(whole, values[1])
    record(old, values[1])
    for first, second in zip(whole.curve["points"], old.curve["points"], strict=True):
        np.testing.assert_allclose(first, second, atol=2e-6)


def history(*diversities, steps=10):
    names = ("d_loss", "g_loss")
    beliefs = {"d_real": 0.6, "d_fake": 0.4}
    return [
        {"epoch": i, "step": i * steps, "diversity": diversity}
        | dict.fromkeys(names, 0.7)
        | beliefs
        for i, diversity in enumerate(diversities, start=1)
    ]


def plot_of(path, journal, epochs=4):
    plot = LossPlot(path, "t", journal=journal)
    plot.set_model(types.SimpleNamespace(batch_size=8))
    plot.set_params({"epochs": epochs})
    plot.on_train_begin()
    return plot


@pytest.mark.slow
def test_warnings_are_marked(tmp_path):
    """In a run from before there was a curve: its checkpoint has the epochs' means alone."""

    def drawn(records):
        plot_of(tmp_path / "losses.png", Journal(10, "", 40, records)).draw()
        return (tmp_path / "losses.png").read_bytes()

    healthy, collapsed = history(0.9, 0.9, 0.9, 0.9), history(0.9, 0.9, 0.1, 0.9)
    assert drawn(healthy) == drawn(healthy)
    assert drawn(healthy) != drawn(collapsed)


def test_the_curve_of_a_run_from_before_there_was_one_begins_with_its_epochs():
    journal = Journal(10, "", 40, history(0.9, 0.9, 0.9, 0.9))
    curve, logs = Curve(journal), dict.fromkeys(NAMES, 0.5)
    for _ in range(3):
        journal.step += 1
        curve.add(logs)
    assert [point[0] for point in curve.points] == [10, 20, 30, 40, 41, 42, 43]


def test_it_is_redrawn_within_a_long_epoch_and_before_a_stop(tmp_path, monkeypatch):
    clock = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    plot, drawn = plot_of(tmp_path / "losses.png", Journal(1000, "")), []
    plot.draw = lambda: drawn.append(clock[0])
    for batch in range(20):
        clock[0] += 10
        plot.on_train_batch_end(batch, dict.fromkeys(NAMES, 0.5))
    assert drawn == [60, 120, 180]
    plot.catch_up()
    plot.catch_up()
    assert drawn == [60, 120, 180, 200]


def test_what_takes_long_is_drawn_less_often(tmp_path, monkeypatch):
    clock, drawn = [0.0], []
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    plot = plot_of(tmp_path / "losses.png", Journal(1000, ""))

    def draw():
        drawn.append(clock[0])
        clock[0] += 1  # the second that it takes

    plot.draw = draw
    plot.params = {"epochs": 100}
    for epoch in range(99):
        clock[0] += 10
        plot.on_epoch_end(epoch, dict.fromkeys(NAMES, 0.5))
    assert drawn[0] == 10
    assert all(200 <= b - a < 220 for a, b in itertools.pairwise(drawn)) and len(drawn) == 5
    plot.on_epoch_end(99, dict.fromkeys(NAMES, 0.5))
    assert drawn[-1] == clock[0] - 1


@pytest.mark.parametrize("width", [1, 5, 9])
def test_running_mean(width):
    values = np.random.default_rng(0).normal(size=20)
    half = width // 2
    expected = [values[max(0, i - half) : i + half + 1].mean() for i in range(20)]
    np.testing.assert_allclose(loss_plot.running_mean(values, width), expected)


@pytest.mark.parametrize(("loss", "guessing"), [(None, math.log(2)), (Hinge(), 1.0)])
def test_the_line_of_a_d_that_guesses_is_that_of_its_loss(tmp_path, monkeypatch, loss, guessing):
    lines, limits = [], []
    monkeypatch.setattr("matplotlib.axes.Axes.axhline", lambda axes, y, **style: lines.append(y))
    draw = LossPlot._mark_warnings
    monkeypatch.setattr(
        LossPlot,
        "_mark_warnings",
        lambda self, losses, outputs: (
            limits.append(losses.get_ylim()) or draw(self, losses, outputs)
        ),
    )
    records = [record | {"g_loss": -3.0} for record in history(0.9, 0.9)] if loss else history(0.9)
    records = [record | {"step": 10 * n} for n, record in enumerate(records, 1)]
    plot = plot_of(tmp_path / "losses.png", Journal(10, "", 20, records))
    plot.model.loss_terms = loss
    plot.draw()
    assert lines == [guessing]
    assert limits[0][1] > guessing
    assert (limits[0][0] < -3) == bool(loss)
