"""Hostile run directories, from seeds: one clear line or a clean result, and nothing is harmed."""

import json
import os
import random
import struct
import zipfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from helpers import little_memory, one_line, resolved

from dcgan_tf.common import checkpoints
from dcgan_tf.common.atomic_write import write_text
from dcgan_tf.common.errors import UserError
from dcgan_tf.common.files import lock_for
from dcgan_tf.common.foreign import read_lines
from dcgan_tf.common.runs import Run, epoch_of, sample_file
from dcgan_tf.train import changes, run_lock

OBSTACLES = ("folder", "full folder", "loop", "nowhere", "pipe", "link to file", "link to folder")


@pytest.fixture(autouse=True)
def _no_waiting_for_the_disk(monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda number: None)


def put(path, kind):
    """Something that training did not make, in the place of `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if kind.endswith("folder") and not kind.startswith("link"):
        path.mkdir()
        if kind.startswith("full"):
            (path / "mine").write_text("mine")
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        targets = {"loop": path.name, "nowhere": "gone"}
        os.symlink(targets.get(kind, Path.cwd() / f"precious {kind[8:]}"), path)


def outside():
    Path("precious file").write_text("precious")
    Path("precious folder").mkdir()
    Path("precious folder/mine").write_text("precious")


def untouched():
    texts = [Path("precious file").read_text(), Path("precious folder/mine").read_text()]
    return texts == ["precious", "precious"] and len(list(Path("precious folder").iterdir())) == 1


def attempt(config, root=Path("a")):
    """Claim `root` as a training does that writes its files; the message of the refusal, or ""."""
    request = SimpleNamespace(config=config, run_dir=root, config_name="celeba")

    def train():
        with run_lock.claim(request) as run:
            for path in (run.metrics, run.reals, run.evaluation):
                write_text(path, "{}\n")
        return ""

    return one_line(train)


@pytest.fixture(scope="module")
def config():
    return resolved()


@pytest.mark.parametrize("seed", range(60))
def test_what_stands_in_the_way_is_named_first_and_never_written_through(
    seed, config, here, monkeypatch
):
    monkeypatch.setattr(run_lock, "versions", dict)
    rng = random.Random(seed)
    outside()
    run = Run("a")
    if known := rng.random() < 0.5:
        assert attempt(config) == ""
    files, folders = run.files(), run.folders()
    places = [*files, *folders, run.lock, lock_for(run.evaluation)]
    places += [sample_file(run.samples, 3), run.checkpoints / "step_00000007.npz"]
    place, kind = rng.choice(places), rng.choice(OBSTACLES)
    if os.path.lexists(place):
        place.rmdir() if place.is_dir() and not any(place.iterdir()) else None
        if os.path.lexists(place):
            place.unlink()
    put(place, kind)
    state = os.lstat(place).st_ino
    said = attempt(config)
    assert untouched()
    fits = kind == "link to file" and place not in (*folders, run.lock, lock_for(run.evaluation))
    fits |= kind.endswith("folder") and place in folders
    if not fits and (known or place != run.config):
        assert said, f"{place} as {kind} was not refused"
        assert os.lstat(place).st_ino == state
        if not known:
            assert place.name in said or "no config.toml" in said


NAMES = (
    *(
        "epoch_best.png",
        "epoch_0001 (copy).png",
        "epoch_1.png",
        "epoch_00001.png",
        "epoch_٣٣٣٣.png",
    ),
    *("epoch_.png", "epoch_-001.png", "Epoch_0001.png", "epoch_99999999999999999999.png"),
    *("step_best.npz", "step_00000002 (copy).npz", "step_2.npz", "step_000000003.npz"),
    *("step_99999999999999999999999.npz", "step_9999999９.npz", ".writing-step_00000009.npz"),
)


@pytest.mark.parametrize("name", NAMES)
def test_what_a_person_named_is_no_grid_and_no_checkpoint(name, here):
    folder = Path("x")
    folder.mkdir()
    checkpoints.write(folder, {"a": np.arange(3)}, checkpoints.Journal(5, "x", 2), keep=3)
    (folder / name).write_bytes(b"not ours")
    assert epoch_of(folder / name) is None
    assert [path.name for path in checkpoints.files(folder)] == ["step_00000002.npz"]
    assert checkpoints.read_newest(folder)[1].step == 2
    assert (folder / name).read_bytes() == b"not ours"


JSON = ("{}", "[]", "3", "null", '"x"', "NaN", "{", "[" * 100_000, '{"epoch": 1}', "", "{}{}", "\0")


@pytest.mark.parametrize("seed", range(20))
def test_lines_of_any_kind_give_records_alone(seed, tmp_path):
    rng = random.Random(seed)
    lines = [rng.choice(JSON).encode() for _ in range(6)] + [rng.randbytes(20), b'{"epoch": 7}']
    rng.shuffle(lines)
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(b"\n".join(lines))
    records = read_lines(path)
    assert all(isinstance(record, dict) for record in records)
    assert {"epoch": 7} in records


HARMS = ("bit", "cut", "encrypted", "method", "size", "bomb", "shape", "twice", "type")


def harm(path, rng):
    """Change a whole checkpoint in one of the ways of disks and of people; returns how."""
    how = rng.choice(HARMS)
    data = bytearray(path.read_bytes())
    entry = data.find(b"PK\x01\x02")  # in the directory at the end, which zipfile goes by
    if how == "bit":
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    elif how == "cut":
        del data[rng.randrange(len(data)) :]
    elif how == "encrypted":
        data[entry + 8] |= 1
    elif how == "method":
        data[entry + 10 : entry + 12] = struct.pack("<H", rng.choice([1, 8, 12, 14, 93, 99]))
    elif how == "size":
        data[entry + 24 : entry + 28] = struct.pack("<I", 4_000_000_000)
    if how in ("bomb", "shape", "twice", "type"):
        rewrite(path, how)
    else:
        path.write_bytes(data)
    return how


def rewrite(path, how):
    """The checkpoint again, with an entry that claims or unpacks to far more than is there."""
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    packed = zipfile.ZIP_DEFLATED if how == "bomb" else zipfile.ZIP_STORED
    if how == "bomb":
        entries["a.npy"] += bytes(20_000_000)
    if how == "shape":
        entries["a.npy"] = (
            entries["a.npy"].replace(b"(100,), }", b"(10**9,)}").replace(b"(100,)", b"(9**9,)")
        )
    if how == "type":
        entries["a.npy"] = entries["a.npy"].replace(b"'<f8'", b"'|O' ")
    with zipfile.ZipFile(path, "w", packed) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
        if how == "twice":
            with pytest.warns(UserWarning, match="Duplicate"):
                archive.writestr("a.npy", entries["a.npy"])


@pytest.mark.parametrize("seed", range(40))
def test_harmed_checkpoint_is_passed_over_or_unharmed(seed, tmp_path):
    state = {"a": np.arange(100.0)}
    for step in (1, 2):
        newest = checkpoints.write(tmp_path, state, checkpoints.Journal(5, "x", step), keep=3)
    how = harm(newest, random.Random(seed))
    with little_memory():
        found, journal = checkpoints.read_newest(tmp_path)
    assert np.array_equal(found["a"], state["a"])
    assert journal.step == 1 or how == "bit"  # of a field that zip readers do not look at


@pytest.mark.parametrize("seed", range(12))
def test_journals_with_a_right_checksum_and_wrong_values_are_damaged(seed, tmp_path):
    rng = random.Random(seed)
    values = {"steps_per_epoch": 5, "pixels_sha256": "x", "step": 2, "history": []}
    values[rng.choice(["steps_per_epoch", "step", "history"])] = rng.choice(
        [-1, 1.5, "3", None, {}, True]
    )
    state = {"a": np.arange(3), "journal": np.array(json.dumps(values))}
    sha256 = np.array(checkpoints.digest_of(state))
    np.savez(tmp_path / "step_00000002.npz", **state, sha256=sha256)
    with pytest.raises(UserError, match="no checkpoint .* is whole"):
        checkpoints.read_newest(tmp_path)


@pytest.mark.parametrize("seed", range(20))
def test_damaged_config_is_refused_by_its_name(seed, config, here, monkeypatch):
    monkeypatch.setattr(run_lock, "versions", dict)
    assert attempt(config) == ""
    rng = random.Random(seed)
    path = Run("a").config
    text = bytearray(path.read_bytes())
    for _ in range(3):
        at = rng.randrange(len(text))
        text[at : at + rng.randrange(4)] = rng.randbytes(3)
    path.write_bytes(text)
    said = attempt(config)
    assert said == "" or "config.toml" in said or "another config" in said
    assert path.read_bytes() == text or said == ""
    if said == "":
        assert changes.read(path) == []
