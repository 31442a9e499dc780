"""The EMA of G: its formula, its use, files that hold it, and that training does not read it."""

import io
import zipfile

import h5py
import keras
import numpy as np
import pytest
from tiny_gan import BATCH, build, fit, tiny

from dcgan_tf.models.ema import HalfLife
from dcgan_tf.models.loading import load_generator
from dcgan_tf.models.sampling import weights_sha256


def test_a_half_life_halves_and_its_ramp_forgets_the_beginning():
    assert float(HalfLife(64, ramp=0)(10**6, 64)) == pytest.approx(0.5)
    assert float(HalfLife(64, ramp=0)(10**6, 16)) == pytest.approx(0.5**0.25)
    # After 320 images the ramp allows a half-life of 16.
    assert float(HalfLife(10**6, ramp=0.05)(320, 32)) == pytest.approx(0.25)


@pytest.mark.slow
def test_the_ema_is_that_of_the_weights_along_the_way():
    ema = HalfLife(16, ramp=0)
    model, plain = build(tiny(), ema=ema), build(tiny())
    expected = model.generator.get_weights()
    for _ in range(3):
        fit(model, steps=1)
        kept = float(ema(BATCH, BATCH))  # each fit begins with the first batch
        now = model.generator.get_weights()
        expected = [kept * e + (1 - kept) * w for e, w in zip(expected, now, strict=True)]
        fit(plain, steps=1)
    for mean, value in zip(model.ema_generator.get_weights(), expected, strict=True):
        np.testing.assert_allclose(mean, value, atol=1e-5)
    weights = (each.generator.get_weights() for each in (model, plain))
    assert all(map(np.array_equal, *weights))  # training does not read it
    assert model.inference_generator is model.ema_generator
    assert plain.inference_generator is plain.generator


@pytest.mark.slow
def test_a_file_of_the_old_names_opens_with_its_ema(tmp_path):
    """Files before the rename have `average` in their config and `averaged` in their weights."""
    model = build(tiny(), ema=HalfLife(16))
    fit(model)
    model.save(tmp_path / "new.keras")
    with zipfile.ZipFile(tmp_path / "new.keras") as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    with h5py.File(io.BytesIO(entries["model.weights.h5"])) as weights:
        assert {"averaged", "generator"} <= set(weights)
    assert b'"ema": {' in entries["config.json"]
    entries["config.json"] = entries["config.json"].replace(b'"ema": {', b'"average": {')
    with zipfile.ZipFile(tmp_path / "old.keras", "w") as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    for name in ("new", "old"):
        again = keras.saving.load_model(tmp_path / f"{name}.keras")
        assert again.ema.get_config() == model.ema.get_config()
        assert again.ema_generator.name == model.ema_generator.name
        sha256 = weights_sha256(model.ema_generator)
        assert weights_sha256(again.ema_generator) == sha256
        assert load_generator(tmp_path / f"{name}.keras").sha256 == sha256
