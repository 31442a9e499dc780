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
from dcgan_tf.train.callbacks.loss_plot import NAMES, POINTS, Curve, LossPlot


def record(journal, values, read_every=1, last=None):
    """Feed an epoch's `values` (steps, 4) as fit does, as running means, from where it stands."""
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
    journal = Journal(10, "", 20, history(0.9, 0.9))  # from before there was a curve
    curve = Curve(journal)
    journal.step += 1
    curve.add(dict.fromkeys(NAMES, 0.5))
    assert [point[0] for point in curve.points] == [10, 20, 21]


def test_a_plot_of_its_own_counts_joined_steps_and_begins_anew_after_an_interruption(tmp_path):
    plot = LossPlot(tmp_path / "losses.png")
    plot.set_model(types.SimpleNamespace(batch_size=32))
    plot.set_params({"epochs": 9, "steps": 10})
    plot.redraw = lambda seconds: None
    for epoch in range(2):
        plot.on_epoch_begin(epoch)
        for batch in (3, 7, 11):  # steps_per_execution=4
            plot.on_train_batch_end(batch, dict.fromkeys(NAMES, 1.0))
        plot.on_epoch_end(epoch, dict.fromkeys(NAMES, 1.0))
    assert [record["images_seen"] for record in plot._journal.history] == [320, 640]
    plot.on_epoch_begin(2)
    plot.on_train_batch_end(5, dict.fromkeys(NAMES, 2.0))  # then Ctrl-C, and fit again
    plot.on_epoch_begin(2)
    plot.on_train_batch_end(0, dict.fromkeys(NAMES, 0.5))
    assert plot._curve.points[-1][1:] == [0.5] * 4


def history(*diversities, **values):
    logs = dict.fromkeys(("d_loss", "g_loss"), 0.7) | {"d_real": 0.6, "d_fake": 0.4} | values
    return [
        {"epoch": epoch, "step": 10 * epoch, "diversity": diversity} | logs
        for epoch, diversity in enumerate(diversities, start=1)
    ]


def plot_of(path, journal, epochs=4, loss=None):
    plot = LossPlot(path, "t", journal=journal)
    plot.set_model(types.SimpleNamespace(batch_size=8, loss_terms=loss))
    plot.set_params({"epochs": epochs})
    plot.on_train_begin()
    return plot


def test_it_is_redrawn_within_a_long_epoch_before_a_stop_and_less_often_if_it_takes_long(
    tmp_path, monkeypatch
):
    clock, drawn, cost = [0.0], [], 0
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    plot = plot_of(tmp_path / "losses.png", Journal(1000, ""), epochs=100)

    def draw():
        drawn.append(clock[0])
        clock[0] += cost

    plot.draw = draw
    for batch in range(20):
        clock[0] += 10
        plot.on_train_batch_end(batch, dict.fromkeys(NAMES, 0.5))
    plot.catch_up()
    plot.catch_up()
    assert drawn == [60, 120, 180, 200]
    drawn.clear()
    cost = 1
    for epoch in range(99):
        clock[0] += 10
        plot.on_epoch_end(epoch, dict.fromkeys(NAMES, 0.5))
    assert drawn[0] == 210
    assert all(200 <= b - a < 220 for a, b in itertools.pairwise(drawn)) and len(drawn) == 5
    plot.on_epoch_end(99, dict.fromkeys(NAMES, 0.5))
    assert drawn[-1] == clock[0] - 1


@pytest.mark.slow
@pytest.mark.parametrize(("loss", "guessing"), [(None, math.log(2)), (Hinge(), 1.0)])
def test_a_collapse_is_marked_and_so_is_a_d_that_guesses(tmp_path, monkeypatch, loss, guessing):
    """The curves are the epochs' means, as in a run from before there was a curve."""
    lines, marks = [], []
    axhline = "matplotlib.axes.Axes.axhline"
    monkeypatch.setattr(axhline, lambda axes, y, **style: lines.append((y, axes)))
    monkeypatch.setattr(
        "matplotlib.axes.Axes.axvline", lambda axes, x, **style: marks.append((x, style))
    )
    records = history(0.9, 0.9, 0.1, 0.9, g_loss=-3.0 if loss else 0.7)
    path = tmp_path / "losses.png"
    plot_of(path, Journal(10, "", 40, records), loss=loss).draw()
    assert path.stat().st_size > 5000
    ((y, axes),) = lines
    low, high = axes.get_ylim()
    assert high > y == guessing and (low < -3) == bool(loss)
    assert [x for x, _ in marks] == [240, 240] and marks[0][1]["label"] == "collapse,\nepoch 3"
