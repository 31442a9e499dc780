"""Half precision and XLA: what works, works with its losses in float32; the rest is refused."""

from functools import cache

import numpy as np
import pytest
from workers import LOW_RATES, TINY, final, finish, start


def states(cwd, *flags, **kwargs):
    ((_, stderr),) = finish(start(cwd, *TINY, *LOW_RATES, "--epochs", "1", *flags, **kwargs))
    assert "--deterministic" not in flags or stderr == ""  # no internal lines
    return final(cwd)


@pytest.fixture(scope="module")
def float32(tmp_path_factory):
    @cache  # two devices each normalise their half of a batch, so they are compared with two
    def trained(devices):
        flags = ["--strategy", "mirrored"] if devices > 1 else []
        return states(tmp_path_factory.mktemp("float32"), *flags, devices=devices)

    return trained


@pytest.mark.parametrize(
    ("flags", "devices"),
    [
        (["--precision", "mixed_bfloat16"], 1),
        (["--precision", "mixed_float16"], 1),
        pytest.param(
            ["--precision", "mixed_float16", "--strategy", "mirrored"],
            2,
            marks=pytest.mark.nightly,
        ),
        pytest.param(["--precision", "mixed_float16", "--jit", "on"], 1, marks=pytest.mark.nightly),
        (["--deterministic"], 1),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else str(value),
)
def test_trains_like_float32(float32, flags, devices, tmp_path):
    state, metrics = states(tmp_path, *flags, devices=devices)
    plain_state, plain_metrics = float32(devices)
    # Every weight, moment and moving statistic stays float32, or the small steps would be lost.
    assert {v.dtype for v in state.values() if v.dtype.kind == "f"} == {np.dtype("float32")}
    scales = [value for name, value in state.items() if name.endswith("dynamic_scale")]
    assert len(scales) == (2 if "mixed_float16" in flags else 0)  # one for each optimizer
    assert all(2**15 >= scale >= 2**14 for scale in scales), "one step of the four skipped at most"
    apart = 0.1 if any(scale < 2**15 for scale in scales) else 0.01  # a skipped step shows
    for name in ("d_loss", "g_loss", "d_real", "d_fake"):
        assert metrics[0][name] == pytest.approx(plain_metrics[0][name], abs=apart)
    for part in ("generator", "discriminator"):
        pairs = [(state[n], plain_state[n]) for n in plain_state if n.startswith(part)]
        assert max(np.abs(a - b).max() for a, b in pairs) < 0.01, f"{part} went another way"
