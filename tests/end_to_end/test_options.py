"""A training with the options of `faces`: killed, on two devices, warm-started, scored."""

import keras
import numpy as np
import pytest
import stress
from helpers import SMALL, generate, train
from workers import TINY, final, finish, start, start_workers

from dcgan_tf.common import checkpoints
from dcgan_tf.evaluate.image_sets import generated
from dcgan_tf.models.loading import load_generator
from dcgan_tf.models.sampling import weights_sha256

# Everything at once, and at moments that lie within the eight steps of TINY.
PAIRED = (
    *("--loss", "relativistic", "--d-norm", "none", "--r1", "0.5", "--r2", "0.5"),
    *("--average", "half_life", "--average-half-life", "30", "--augment-probability", "0.5"),
    *("--augment", "flip,shift,colour,cutout", "--augment-ramp", "50", "--d-width", "0.5"),
    *("--lr-decay", "cosine", "--decay-images", "80", "--penalty-end", "0.1"),
    *("--d-hidden", "6", "--d-minibatch-std", "3", "--kernel-size", "5"),
)
SPECTRAL = (
    *("--loss", "hinge", "--d-norm", "spectral", "--average", "half_life", "--flip"),
    *("--lr-decay", "linear", "--decay-images", "80"),
)


@pytest.fixture(
    scope="module",
    params=[PAIRED, pytest.param(SPECTRAL, marks=pytest.mark.nightly)],
    ids=["paired", "spectral"],
)
def whole(request, tmp_path_factory):
    """The flags, and a directory with the finished run runs/a."""
    cwd = tmp_path_factory.mktemp("whole")
    flags = [*TINY, *request.param]
    ((_, stderr),) = finish(start(cwd, *flags))
    assert "remapper" not in stderr
    return flags, cwd


# Those that do not take both sets of options in each `make test`.
paired = pytest.mark.parametrize("whole", [PAIRED], ids=["paired"], indirect=True)


def test_killed_twice_and_resumed_it_ends_with_the_same_bits(whole, tmp_path):
    flags, cwd = whole
    stress.kill_twice_and_resume(tmp_path, flags)
    assert stress.results(tmp_path / "runs/a") == stress.results(cwd / "runs/a")


@pytest.mark.nightly
def test_two_devices_and_two_workers_end_as_one_device_does(whole, tmp_path):
    flags = [*whole[0], "--precision", "float64"]
    places = [tmp_path / name for name in ("one", "devices", "workers")]
    for cwd in places:
        cwd.mkdir()
    finish(start(places[0], *flags, optimizer="sgd"))
    finish(start(places[1], *flags, "--strategy", "mirrored", devices=2, optimizer="sgd"))
    finish(*start_workers(places[2], *flags, optimizer="sgd"))
    expected, *others = (final(cwd)[0] for cwd in places)
    assert any(name.startswith("averaged") for name in expected)
    for found in others:
        largest = max(np.abs(found[n].astype(float) - expected[n]).max() for n in expected)
        assert largest < 1e-10


@paired
def test_pictures_are_made_with_the_average_and_g_is_kept_beside_it(whole, tmp_path):
    _, cwd = whole
    run = cwd / "runs/a"
    state = checkpoints.read_newest(run / "checkpoints")[0]
    networks = {"averaged": "generator.keras", "generator": "raw_generator.keras"}
    networks = {part: keras.saving.load_model(run / name) for part, name in networks.items()}
    for part, network in networks.items():
        weights = network.get_weights()
        kept = [state[name] for name in sorted(state) if name.startswith(f"{part}/")]
        assert all((a == b).all() for a, b in zip(weights, kept, strict=True))
    shown, raw = networks["averaged"], networks["generator"]
    assert weights_sha256(shown) != weights_sha256(raw)
    done = generate("--run", run, "--n", "4", "--out", tmp_path / "out", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out/grid.png").is_file()
    model = load_generator(run).model
    assert generated(model, 16).made_by["weights_of"] == "average of G"
    assert generated(raw, 16).made_by["weights_of"] == "G"


@paired
def test_it_starts_from_the_run_s_average(whole, tmp_path):
    _, cwd = whole
    done = train(
        *("--config", "demo", "--subset", "24", *SMALL, "--batch-size", "12", "--epochs", "1"),
        *("--sample-count", "4", "--average", "half_life", "--init-from", cwd / "runs/a"),
        *("--g-learning-rate", "1e-30", "--d-learning-rate", "1e-30", "--run", "runs/b"),
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    average = keras.saving.load_model(cwd / "runs/a/generator.keras")
    begun = keras.saving.load_model(tmp_path / "runs/b/raw_generator.keras")
    assert average.trainable_weights == []  # it is not for training
    pairs = zip(begun.weights, average.weights, strict=True)
    kept = [(w.numpy(), v.numpy()) for w, v in pairs if "moving" not in w.name]
    assert len(kept) > 10
    for weight, expected in kept:
        np.testing.assert_allclose(weight, expected, atol=1e-6)
