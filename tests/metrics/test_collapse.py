"""Diversity, collapse and a saturated discriminator."""

import itertools
from dataclasses import astuple

import numpy as np
import pytest

from dcgan_tf.common.checkpoints import Journal
from dcgan_tf.common.config import Config
from dcgan_tf.metrics import collapse
from dcgan_tf.train.callbacks import logs
from dcgan_tf.train.changes import Change


def epochs(*diversities, d_real=0.6, d_fake=0.4, steps=10):
    names = ("d_loss", "g_loss")
    return [
        {"epoch": i, "step": i * steps, "d_real": d_real, "d_fake": d_fake, "diversity": diversity}
        | dict.fromkeys(names, 0.7)
        for i, diversity in enumerate(diversities, start=1)
    ]


def test_spread_is_the_mean_distance_of_all_pairs():
    pictures = np.random.default_rng(0).integers(0, 256, (7, 4, 5, 3), np.uint8)
    pairs = itertools.combinations(pictures.astype(float), 2)
    expected = np.mean([np.sqrt(np.mean((a - b) ** 2)) for a, b in pairs])
    assert collapse.spread(pictures) == pytest.approx(expected, rel=1e-12)
    assert collapse.spread(np.repeat(pictures[:1], 5, axis=0)) == 0


def test_diversity_of_the_data_is_1_and_of_one_picture_0():
    pixels = np.random.default_rng(0).integers(0, 256, (400, 8, 8, 3), np.uint8)
    own = collapse.Diversity(pixels).measure(pixels[300:332])
    assert own == pytest.approx(1, abs=0.02)
    same = np.repeat(pixels[:1], 32, axis=0)
    assert collapse.Diversity(pixels).measure(same) == 0


@pytest.mark.parametrize(
    ("history", "found"),
    [
        (epochs(0.1, 0.2, 0.7, 0.9), {}),  # the beginning of a healthy run
        (epochs(0.1, 0.7, 0.29, 0.1), {"collapse": 3}),
        (epochs(0.1, 0.4, 0.2), {}),  # it had not begun
        (epochs(0.1, 0.1, 0.1, steps=400), {"collapse": 3}),  # it never began
        (epochs(0.9, 0.9, 0.9, 0.9, d_real=0.97, d_fake=0.02), {"saturated D": 3}),
        (epochs(0.9, 0.9, d_real=0.97, d_fake=0.02) + epochs(0.9), {}),
        (epochs(None, None), {}),
        ([{k: v for k, v in r.items() if k != "diversity"} for r in epochs(1, 1)], {}),
    ],
)
def test_troubles_are_found_at_their_first_epoch(history, found):
    assert collapse.troubles(history) == found


def test_label_smoothing_lowers_what_counts_as_saturated():
    history = epochs(1, 1, 1, d_real=0.78, d_fake=0.02)
    assert collapse.troubles(history) == {}
    assert collapse.troubles(history, lambda step: 0.8) == {"saturated D": 3}


def test_each_epoch_is_judged_by_the_targets_of_its_steps(caplog):
    history = epochs(*[1] * 9, d_real=0.8, d_fake=0.1)
    plan = [Change(20, 2, "g_learning_rate", 0.2, 0.1), Change(50, 5, "label_smoothing", 0.0, 0.3)]
    certainty = collapse.certainty_at(Config(label_smoothing=0.3), map(astuple, plan))
    assert [certainty(step) for step in (10, 50, 60)] == [1, 1, 0.7]
    assert collapse.troubles(history, certainty) == {"saturated D": 8}
    for last in range(1, 10):
        journal = Journal(10, "", 10 * last, history[:last])
        logs.Troubles(journal, certainty).on_epoch_end(last - 1)
    assert "D is saturated at epoch 8" in caplog.text and len(caplog.records) == 1


def test_warning_comes_once_with_the_epoch(caplog):
    history = epochs(0.9, 0.8, 0.1, 0.1)
    for last in (1, 2, 3, 4):
        journal = Journal(10, "", 10 * last, history[:last])
        logs.Troubles(journal, lambda step: 1.0).on_epoch_end(last - 1)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "collapse at epoch 3" in caplog.text
