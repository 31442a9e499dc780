"""Hostile files, numbers and places: one clear line or a clean result."""

import io
import json
import struct
import zipfile
from types import SimpleNamespace

import numpy as np
import pytest
from helpers import SPECIAL, one_line, put_special, small_growth

from dcgan_tf.generate.command import GenerationRequest, parse_generation
from dcgan_tf.generate.generation import BLOCK, prepare_latents
from dcgan_tf.models.keras_file import read_structure

LENGTH = 8
SAMPLER = SimpleNamespace(latent_dim=LENGTH, labels=None, factor=lambda truncation: truncation)


@pytest.fixture(autouse=True)
def bounded_memory():
    """No case may take more than a gigabyte above what there was."""
    with small_growth(2**30):
        yield


# Archives: every part of a .keras file hostile


CONFIG = json.dumps({"class_name": "Functional", "config": {}}).encode()
FILES = [("config.json", CONFIG), ("model.weights.h5", bytes(2000))]


def archive(files=FILES):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as target:
        for name, content in files:
            target.writestr(name, content)
    return buffer.getvalue()


def changed(local, central, value):
    """An archive with a value in the header of each entry, at these places of the two headers."""
    data = bytearray(archive())
    for mark, offset in ((b"PK\x03\x04", local), (b"PK\x01\x02", central)):
        start = data.find(mark)
        while start >= 0:
            data[start + offset : start + offset + len(value)] = value
            start = data.find(mark, start + 4)
    return bytes(data)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: changed(6, 8, b"\x01\x00"), "is encrypted"),
        (lambda: changed(8, 10, struct.pack("<H", 99)), "compression method"),
        (lambda: changed(22, 24, struct.pack("<I", 2**32 - 2)), ""),  # claims 4 GB
        (lambda: archive(FILES[:1]), ""),
        (lambda: archive([("config.json", b"[" * 200_000), FILES[1]]), ""),
        (lambda: archive()[:2000], ""),
    ],
)
def test_a_hostile_keras_file_is_one_line(make, words, tmp_path):
    path = tmp_path / "g.keras"
    path.write_bytes(make())
    found = one_line(read_structure, path, "--model")
    assert found.startswith(f"--model {path}: ") and words in found


@pytest.mark.slow
def test_a_bomb_is_not_unpacked(tmp_path):
    with zipfile.ZipFile(tmp_path / "g.keras", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as file:
        file.writestr(*FILES[0])
        with file.open("model.weights.h5", "w") as entry:
            for _ in range(600):
                entry.write(bytes(2**20))
    assert "unpacks to 629.1 MB" in one_line(read_structure, tmp_path / "g.keras", "--model")


def test_a_flipped_bit_is_one_line_or_does_not_matter(tmp_path):
    path, random = tmp_path / "g.keras", np.random.RandomState(0)
    path.write_bytes(archive())
    assert read_structure(path, "--model")[0]["class_name"] == "Functional"
    for _ in range(10):
        data = bytearray(archive())
        data[random.randint(len(data))] ^= 1 << random.randint(8)
        path.write_bytes(data)
        found = one_line(read_structure, path, "--model")
        assert isinstance(found, str) or found[0] == json.loads(CONFIG)


# Latents


def read(path, limit=100, **changes):
    """What a request for a file of latents gives: the latents, or the line of its refusal."""
    request = GenerationRequest(path, latents=path, limit=limit, **changes)
    return one_line(prepare_latents, request, SAMPLER)


def header(shape, descr="'<f4'"):
    text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}}}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode("latin1")


@pytest.mark.parametrize(
    "content",
    [
        header((2**63, LENGTH)),
        header((-1, LENGTH)),
        header((10**4000, LENGTH)),
        header("(" * 300 + ")" * 300),
        header((1, LENGTH), "'|O'"),
        header((1, LENGTH), "'<c16'"),
        header((1, LENGTH), "'no such type'"),
        header("__import__('os').system('true')"),
        b"\x93NUMPY\x09\x00" + bytes(200),
        b"PK\x03\x04" + bytes(200),
    ],
)
def test_a_hostile_header_is_one_line(content, tmp_path, recwarn):
    path = tmp_path / "z.npy"
    path.write_bytes(content + bytes(64))
    found = read(path)
    assert isinstance(found, str) and found.startswith(f"--latents {path}: ")
    assert not list(recwarn)  # each would be a line of its own


def test_good_arrays_are_taken_and_every_number_is_read_before_the_first_image(tmp_path):
    path = tmp_path / "z.npy"
    for kind in ("<f8", ">f4", "i1", "f2"):
        values = np.asfortranarray(np.arange(3 * LENGTH).reshape(3, LENGTH).astype(kind))
        np.save(path, values)
        latents = read(path, limit=3, truncation=0.5)
        np.testing.assert_array_equal(latents.rows(1, 3), np.float32(values[1:]) / 2)
        assert latents.rows(0, 3).dtype == np.float32
        assert "--limit raises this" in read(path, limit=2)
    values = np.zeros((3 * BLOCK + 7, LENGTH), np.float32)
    values[-1, -1] = np.inf
    np.save(path, values)
    assert "NaN, infinite or beyond float32" in read(path, limit=10**6)


def test_what_is_no_regular_file_is_one_line(tmp_path):
    for kind in SPECIAL:
        path = tmp_path / kind
        put_special(path, kind)
        assert read(path).startswith("--latents ")
        assert one_line(read_structure, path, "--model").startswith("--model ")


# The command line


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["--n", "0"], "--n: got '0', expected a whole number"),
        (["--n", "9" * 5000], "--n: got '999"),
        (["--n", "5000000000"], "--n: asks for 5000000000 images, 100,000 at most"),
        (["--limit", "10", "--n", "11"], "--n: asks for 11 images, 10 at most"),
        (["--seeds", "5-2"], "--seeds: got '5-2'"),
        (["--seeds", ""], "--seeds"),
        (["--seeds", "0-4294967295"], "--seeds: got 4,294,967,296 seeds"),
        (["--seeds", f"0-{'9' * 5000}"], "--seeds"),
        (["--seeds", "\u00b2"], "--seeds"),
        (["--seeds", "1", "--n", "2"], "not allowed with"),
        (["--interpolate", "4"], "two or more"),
        (["--interpolate", "0-99999", "--frames", "24"], "--interpolate: asks for 2300000 images"),
        (["--fill", "1e999"], "--fill"),
        (["--fill", ""], "--fill"),
        (["--truncation", "-1"], "--truncation"),
        (["--truncation", "1e308"], "--truncation"),
        (["--scale", "0"], "--scale"),
        (["--scale", "1000000"], "--scale"),
        (["--out", ""], "got an empty text"),
        (["--out", "~nobody-of-that-name/x"], "no such user"),
        (["--out", "taken"], "--out taken: this is a file"),
        (["--sedes", "1"], "did you mean --seeds"),
        (["--run", "nowhere"], "--run nowhere: no such"),
        (["--model", ""], "got an empty text"),
        (["--model", "nowhere.keras"], "no such file"),
        (["--model", "/dev/zero"], "not a regular file"),
        (["--model", "a\0b"], "null bytes"),
    ],
)
def test_hostile_flags_are_one_line_and_touch_nothing(argv, words, here):
    (here / "g.keras").write_bytes(b"not opened")
    (here / "taken").write_text("a file")
    before = sorted(here.rglob("*"))
    named = argv[0] in ("--model", "--run")
    found = one_line(parse_generation, argv if named else ["--model", "g.keras", *argv])
    assert isinstance(found, str) and words in found
    assert sorted(here.rglob("*")) == before


def test_limits_can_be_raised_and_what_is_named_twice_is_made_once(here):
    assert "no run with a generator.keras" in one_line(parse_generation, [])
    (here / "g.keras").write_bytes(b"not opened")
    assert len(parse_generation(["g.keras", "--n", "200000", "--limit", "200000"]).seeds) == 200_000
    assert parse_generation(["g.keras", "--seeds", "1,2,1"]).seeds == [1, 2]
    assert parse_generation(["g.keras", "--fill", "0,-0,1"]).fill == (0, 1)
