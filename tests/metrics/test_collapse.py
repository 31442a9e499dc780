"""Diversity, collapse and a saturated discriminator."""

import itertools

import numpy as np
import pytest

from dcgan_tf.common.checkpoints import Journal
from dcgan_tf.common.config import Config
from dcgan_tf.data.synthetic import draw_face
from dcgan_tf.metrics import collapse
from dcgan_tf.train.callbacks import logs


def epochs(*diversities, d_real=0.6, d_fake=0.4, steps=10):
    means = {"d_loss": 0.7, "g_loss": 0.7, "d_real": d_real, "d_fake": d_fake}
    return [
        {"epoch": i, "step": i * steps, "diversity": diversity} | means
        for i, diversity in enumerate(diversities, start=1)
    ]


def test_spread_and_roughness_are_their_definitions():
    images = np.random.default_rng(0).integers(0, 256, (7, 4, 5, 3), np.uint8)
    values = images.astype(float)
    pairs = itertools.combinations(values, 2)
    expected = np.mean([np.sqrt(np.mean((a - b) ** 2)) for a, b in pairs])
    assert collapse.spread(images) == pytest.approx(expected, rel=1e-12)
    down = np.mean((values[:, 1:] - values[:, :-1]) ** 2)
    right = np.mean((values[:, :, 1:] - values[:, :, :-1]) ** 2)
    expected = (down + right) / 2 / values.var((1, 2)).mean()
    assert collapse.roughness(images) == pytest.approx(expected, rel=1e-12)
    assert collapse.roughness(np.full((3, 4, 4, 1), 7, np.uint8)) == 0
    # Relative to real images they are 1 for the data; one image has no diversity.
    pixels = np.random.default_rng(0).integers(0, 256, (400, 8, 8, 3), np.uint8)
    own = collapse.Diversity(pixels).measure(pixels[300:332])
    assert own == {"diversity": pytest.approx(1, abs=0.02), "roughness": pytest.approx(1, abs=0.03)}
    same = np.repeat(pixels[:1], 32, axis=0)
    assert collapse.Diversity(pixels).measure(same)["diversity"] == 0


def drawn_faces(count):
    return np.stack([np.asarray(draw_face(index).resize((32, 32))) for index in range(count)])


def noise(count, width, color=(1, 1, 1)):
    """Grains `width` pixels wide."""
    grains = np.random.default_rng(0).integers(0, 256, (count, 32 // width, 32 // width, 3))
    return (grains.repeat(width, 1).repeat(width, 2) * color).astype(np.uint8)


@pytest.mark.slow
@pytest.mark.parametrize(("width", "color"), [(1, (1, 1, 1)), (1, (0, 1, 0)), (2, (0.2, 1, 0.2))])
def test_noise_is_as_varied_as_faces_and_told_by_its_roughness(width, color):
    measure = collapse.Diversity(drawn_faces(64)).measure
    found = measure(noise(32, width, color))
    assert found["diversity"] > 0.5 and found["roughness"] > collapse.NOISY
    history = [record | found for record in epochs(1, steps=collapse.STARTING_STEPS)]
    assert list(collapse.troubles(history)) == ["noise"]
    assert "noise at epoch 1: neighboring pixels" in collapse.warning("noise", history, 1)
    assert measure(drawn_faces(96)[64:])["roughness"] < collapse.SMOOTH


def rough(*values, steps=10):
    return [r | {"roughness": v} for r, v in zip(epochs(*values, steps=steps), values, strict=True)]


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
        (rough(30, 9, 5, 1.5, 1.2), {}),  # the beginning of a healthy run
        (rough(9, 1.5, 1.2, 4.5), {"noise": 4}),
        (rough(30, 30, 30, steps=400), {"noise": 3}),
        ([{k: v for k, v in r.items() if k != "diversity"} for r in epochs(1, 1)], {}),
    ],
)
def test_troubles_are_found_at_their_first_epoch(history, found):
    assert collapse.troubles(history) == found
    for kind, epoch in found.items():
        assert f"at epoch {epoch}" in collapse.warning(kind, history, epoch)


def test_a_saturated_discriminator_is_judged_by_its_targets(caplog):
    history = epochs(*[1] * 4, d_real=0.8, d_fake=0.1)
    certainty = collapse.certainty_of(Config(label_smoothing=0.25, label_noise=0.25))
    assert certainty == 0.5
    assert collapse.troubles(history) == {}
    assert collapse.troubles(history, certainty) == {"saturated D": 3}
    for last in range(1, 5):
        journal = Journal(10, "", 10 * last, history[:last])
        logs.TrainingWarnings(journal, certainty).on_epoch_end(last - 1)
    assert "D is saturated at epoch 3" in caplog.text and len(caplog.records) == 1
    assert caplog.records[0].levelname == "WARNING"
