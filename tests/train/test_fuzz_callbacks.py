"""A run's own files, damaged in any way, never end a training: made again, or skipped by name."""

import json
import random
import types

import keras
import pytest
from PIL import Image

from dcgan_tf.common.checkpoints import Journal
from dcgan_tf.common.foreign import read_lines
from dcgan_tf.common.images import encode
from dcgan_tf.common.runs import Run, sample_file
from dcgan_tf.train.callbacks import scores
from dcgan_tf.train.callbacks.logs import MetricsLog
from dcgan_tf.train.callbacks.progress import Pace
from dcgan_tf.train.callbacks.samples import ProgressGif

VALUES = [{}, [], 7, -1, 1e400, "x", None, True, {"epoch": 1}, [[]], 10**400]


def damaged(content, rng):
    """bytes: cut, flipped, mixed, replaced or emptied."""
    content = bytearray(content)
    kind = rng.randrange(5)
    if kind == 0:
        return bytes(content[: rng.randrange(len(content))])
    if kind == 1:
        for _ in range(rng.randint(1, 20)):
            content[rng.randrange(len(content))] = rng.randrange(256)
    elif kind == 2:
        place = rng.randrange(len(content))
        content[place:place] = rng.randbytes(rng.randint(1, 50))
    elif kind == 3:
        return json.dumps(rng.choice(VALUES)).encode()
    else:
        return rng.choice([b"", b"\0" * 100, b"[" * 10_000, rng.randbytes(200), b"%!PS\n"])
    return bytes(content)


def record(epoch):
    protocol = {"generator_sha256": "a" * 64, "scored_count": 16, "layer": "pool_3"}
    found = {"run": "a", "epoch": epoch, "step": 3, "by": "training", "fid": 5.0 + epoch}
    shares = {"kid_mean": 0.1, "precision": 0.5, "recall": None}
    return found | shares | {"floor": {"fid": 1.0}, "protocol": protocol}


def odd_record(rng):
    """dict: a record of which some values are of another kind."""
    odd = record(rng.randint(1, 3))
    for name in rng.sample(sorted(odd), rng.randint(1, 4)):
        if rng.random() < 0.3:
            del odd[name]
        else:
            odd[name] = rng.choice(VALUES)
    return odd


@pytest.mark.parametrize("seed", range(40))
def test_samples(tmp_path, seed):
    rng = random.Random(seed)
    run = Run(tmp_path)
    run.samples.mkdir()
    whole = encode(Image.frombytes("RGB", (18, 18), rng.randbytes(18 * 18 * 3)), "PNG")
    sample_file(run.samples, 1).write_bytes(damaged(whole, rng))
    sample_file(run.samples, 2).write_bytes(whole)
    gif = ProgressGif(run.progress, run.samples)
    generator = types.SimpleNamespace(output_shape=(None, 8, 8, 3))
    gif.set_model(types.SimpleNamespace(shown=generator))
    gif.set_params({"epochs": 2})
    gif.on_train_begin()
    gif.on_epoch_end(1)
    with Image.open(run.progress) as image:
        assert image.n_frames in (1, 2)


@pytest.mark.parametrize("seed", range(40))
def test_evaluation_jsonl(tmp_path, seed):
    rng = random.Random(seed)
    run, good = Run(tmp_path), record(1)
    odd = [odd_record(rng) for _ in range(3)]
    lines = [good, *odd, rng.choice(VALUES)]
    content = "".join(json.dumps(line) + "\n" for line in lines).encode()
    broken = damaged(content, rng) if rng.random() < 0.5 else content
    run.evaluation.write_bytes(broken)
    scores.forget_later(run, 1, None)
    scores.add_record(run, record(2))
    assert record(2) in read_lines(run.evaluation)
    if broken is content:
        assert good in read_lines(run.evaluation)
    if seed % 8 == 0:  # drawing takes its time
        scores.draw_scores(run, record(2), record(2))
        assert run.scores.stat().st_size > 5000


@pytest.fixture(scope="module")
def best(tmp_path_factory):
    """The bytes of a small generator with its score inside."""
    run = Run(tmp_path_factory.mktemp("best"))
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    scores.publish_best(run, model, record(1))
    return run.best_generator.read_bytes()


@pytest.mark.parametrize("seed", range(40))
def test_best(tmp_path, best, seed):
    rng = random.Random(seed)
    run = Run(tmp_path)
    run.best_generator.parent.mkdir()
    run.best_generator.write_bytes(damaged(best, rng) if seed % 2 else best)
    run.best_score.write_bytes(damaged(json.dumps(record(1)).encode(), rng))
    found = scores.restore_best(run)
    if seed % 2 == 0:
        assert found == record(1) == json.loads(run.best_score.read_bytes())
    assert scores.is_best(found, record(2)) in (True, False)


@pytest.mark.parametrize("seed", range(40))
def test_timing_jsonl(tmp_path, seed):
    rng = random.Random(seed)
    run, journal = Run(tmp_path), Journal(2, "", 4)
    lines = [{"epoch": 1, "seconds": 2.0}, {"epoch": rng.choice(VALUES)}, rng.choice(VALUES)]
    content = "".join(json.dumps(line) + "\n" for line in lines).encode()
    run.timing.write_bytes(damaged(content, rng) if seed % 2 else content)
    log = MetricsLog(run, journal, Pace(journal, 8, 2), 2, diversity=None, grids=None)
    log.set_model(types.SimpleNamespace(batch_size=8))
    log.on_epoch_begin(1)
    log._write_timing(1)
    *earlier, last = read_lines(run.timing)
    assert last["epoch"] == 2 and last["peak_memory_mb"] > 0
    if seed % 2 == 0:
        assert earlier[0] == lines[0]
