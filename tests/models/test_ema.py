"""The average of G: its formulas, what it is used for, and that training does not feel it."""

import numpy as np
import pytest
from tiny_gan import BATCH, build, fit, tiny

from dcgan_tf.models.ema import HalfLife, Power


def test_a_half_life_halves_and_its_ramp_forgets_the_beginning():
    assert float(HalfLife(64, ramp=0)(10**6, 64)) == pytest.approx(0.5)
    assert float(HalfLife(64, ramp=0)(10**6, 16)) == pytest.approx(0.5**0.25)
    # After 320 images the ramp allows a half-life of 16.
    assert float(HalfLife(10**6, ramp=0.05)(320, 32)) == pytest.approx(0.25)


def test_the_power_form_weighs_each_moment_by_a_power_of_its_images():
    average, values = 0.0, np.random.RandomState(0).randn(400)
    for step, value in enumerate(values, 1):
        kept = float(Power(3.0)(step * 8, 8))
        average = kept * average + (1 - kept) * value
    weights = np.arange(1, 401) ** 3.0
    assert average == pytest.approx((weights * values).sum() / weights.sum(), abs=2e-2)
    assert float(Power(3.0)(8, 8)) == 0


@pytest.mark.slow
@pytest.mark.parametrize("average", [HalfLife(16, ramp=0), Power(2.0)])
def test_the_average_is_that_of_the_weights_along_the_way(average):
    model, plain = build(tiny(), average=average), build(tiny())
    expected = model.generator.get_weights()
    for _ in range(3):
        fit(model, steps=1)
        kept = float(average(BATCH, BATCH))  # each fit begins with the first batch
        now = model.generator.get_weights()
        expected = [kept * e + (1 - kept) * w for e, w in zip(expected, now, strict=True)]
        fit(plain, steps=1)
    for mean, value in zip(model.averaged.get_weights(), expected, strict=True):
        np.testing.assert_allclose(mean, value, atol=1e-5)
    for own, other in zip(
        model.generator.get_weights(), plain.generator.get_weights(), strict=True
    ):
        assert (own == other).all()
    assert model.shown is model.averaged and plain.shown is plain.generator


@pytest.mark.slow
def test_a_saved_model_comes_back_with_its_average():
    model = build(tiny(), average=HalfLife(16))
    fit(model)
    again = type(model).from_config(model.get_config())
    assert again.average.get_config() == model.average.get_config()
    assert again.averaged is not None and again.averaged.name == model.averaged.name
