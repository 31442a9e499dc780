"""Hostile cases for the evaluation, made from seeds: each ends in one line or in a clean result."""

import contextlib
import gzip
import io
import json
import random
import resource
import struct
import tarfile
import zipfile

import numpy as np
import pytest
import tensorflow as tf
from helpers import SPECIAL, face_jpeg, little_memory, put_special, refused, write_files
from tiny_inception import TinyInception

from dcgan_tf.common import limits, scores
from dcgan_tf.common.errors import UserError
from dcgan_tf.common.runs import Run
from dcgan_tf.evaluate import evaluation, score_table, scorer
from dcgan_tf.evaluate.command import parse_evaluation
from dcgan_tf.metrics import features
from dcgan_tf.metrics.inception_weights import GRAPH_NAME, KERNEL_SHAPES, read_weights

# Values on the command line

WHOLE = ["", "-1", "1", "1.5", "nan", "inf", "1e9", "0x10", "٣", "9" * 30, "9" * 5000, "one", "1_0"]
BOXES = ["", "1", "1,2,3", "4,4,4,4", "-1,0,5,5", "a,b,c,d", "1,2,3,4,5", "nan,0,1,1", "9" * 5000]


def values(seed):
    """A flag, and a value for it that is odd."""
    draw = random.Random(seed)
    flag = draw.choice(["--samples", "--seed", "--size", "--crop", "--scored-crop"])
    value = draw.choice(BOXES if "crop" in flag else WHOLE)
    return flag, value if draw.random() < 0.7 else value + draw.choice(" \t\n\x1b,'é")


@pytest.mark.parametrize("seed", range(60))
def test_odd_values_are_refused_or_within_the_limits(here, seed):
    (here / "A").mkdir()
    flag, value = values(seed)
    try:
        request = parse_evaluation(["A", "A", f"{flag}={value}"])
    except UserError as error:
        assert flag in error.for_command()
        return
    assert 0 <= request.seed < 2**32 and 4 <= request.size <= 1024
    assert request.samples == 0 or 2 <= request.samples <= 1_000_000


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--seed", str(2**32)], ["--seed", "4294967295 at most"]),
        (["--size", "20000"], ["--size", "1024 at most"]),
        (["--samples", "5000000000"], ["--samples", "1000000 at most"]),
        (["--inception", "/dev/zero"], ["--inception", "no regular file"]),
        (["--inception", ""], ["--inception", "empty"]),
        (["--cache", ""], ["--cache", "empty"]),
    ],
)
def test_what_is_too_large_or_no_file_is_named_with_its_limit(here, flags, words):
    (here / "A").mkdir()
    with refused(*words):
        parse_evaluation(["A", "A", *flags])


def test_one_image_a_side_is_refused(here, monkeypatch):
    monkeypatch.setattr(scorer, "load_inception", lambda path: TinyInception())
    write_files(here / "A", {"0.jpg": face_jpeg(0)})
    write_files(here / "B", {f"{i}.jpg": face_jpeg(i) for i in range(3)} | {"3.jpg": b"none"})
    with refused("A", "2 or more"):
        evaluation.evaluate(parse_evaluation(["A", "B"]))
    write_files(here / "C", {"0.jpg": face_jpeg(0), "1.jpg": b"none"})
    with pytest.raises(UserError):
        evaluation.evaluate(parse_evaluation(["C", "B"]))


# evaluation.jsonl

GOOD = {
    "run": "r",
    "epoch": 1,
    "fid_768": 1.25,
    "kid_mean": 1e-3,
    "kid_std": None,
    "inception_score": None,
    "precision": 0.5,
    "recall": 0.25,
    "floor": None,
    "protocol": {"layer": "mixed_7", "seed": 0},
}
ODD = [None, [], {}, "x", 10**400, float("nan"), float("inf"), -1, True, "\x1b[2J", [[1]], {"a": 1}]


def odd_line(draw):
    """bytes: a line that is no record, or one that is damaged."""
    kind = draw.randrange(6)
    if kind == 0:
        return draw.choice([b"{}", b"[]", b"7", b"null", b'"x"', b"true", b"[" * 5000, b"1e999"])
    if kind == 1:
        return draw.randbytes(draw.randrange(1, 80)).replace(b"\n", b"")
    text = json.dumps(GOOD).encode()
    if kind == 2:
        return text[: draw.randrange(1, len(text))]
    record = dict(GOOD)
    if kind == 3:
        del record[draw.choice(list(record))]
    elif kind == 4:
        record[draw.choice(list(record))] = draw.choice(ODD)
    else:
        record["floor"] = dict.fromkeys(["fid_768", "kid_mean"], draw.choice(ODD))
    return json.dumps(record).encode()


@pytest.mark.parametrize("seed", range(40))
def test_scores_are_listed_past_rubbish(tmp_path, capsys, seed):
    draw = random.Random(seed)
    lines = [odd_line(draw) for _ in range(draw.randrange(1, 8))]
    lines.insert(draw.randrange(len(lines) + 1), json.dumps(GOOD).encode())
    run = Run(tmp_path)
    run.evaluation.write_bytes(b"\n".join(lines))
    assert GOOD in scores.read_records(run.evaluation)
    assert all(scores.is_record(record) for record in scores.read_records(run.evaluation))
    with contextlib.suppress(UserError):  # the newest may have another protocol: named
        score_table.list_runs([tmp_path])
    assert "\x1b" not in capsys.readouterr().out


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"[]", b"7", b"\xff\xfe", b"\0" * 100, b"[" * 100_000, b"1" * 5000]
)
def test_a_file_without_records_is_said_to_have_none(tmp_path, caplog, content):
    Run(tmp_path).evaluation.write_bytes(content)
    with refused("no evaluation.jsonl with scores"):
        score_table.list_runs([tmp_path])
    assert ("line 1" in caplog.text) == bool(content)


# The cache of features

FILES = ("entry.json", "statistics.npz", "features.npy", "logits.npy")


def damage(path, draw):
    """Damage a file, or put something else in its place; what was done, in words."""
    content = path.read_bytes()
    kind = draw.choice(["{}", "[]", "7", "bytes", "cut", "flip", "gone", "folder", "array", "nan"])
    if kind in ("{}", "[]", "7"):
        path.write_text(kind)
    elif kind == "bytes":
        path.write_bytes(draw.randbytes(len(content)))
    elif kind == "cut":
        path.write_bytes(content[: draw.randrange(len(content))])
    elif kind == "flip":
        flipped = bytearray(content)
        flipped[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
        path.write_bytes(flipped)
    elif kind in ("gone", "folder"):
        path.unlink()
        if kind == "folder":
            path.mkdir()
    else:
        value = np.nan if kind == "nan" else 1
        with path.open("wb") as file:
            np.save(file, np.full((12, 48), value, draw.choice([np.float32, np.float64, object])))
    return f"{path.name} {kind}"


@pytest.mark.parametrize("seed", range(40))
def test_a_damaged_entry_is_computed_again(tmp_path, caplog, seed):
    draw = random.Random(seed)
    pixels = np.random.default_rng(0).integers(0, 256, (12, 8, 8, 3), np.uint8)
    images = features.Images("random", 12, {"seed": 0}, lambda: [pixels])
    network = TinyInception(("mixed_7", "logits"))

    def extract():
        return features.extract(images, network, "mixed_7", tmp_path, lambda count: None)

    first = extract()
    wanted = first.features.copy(), first.logits.copy(), first.statistics.covariance
    del first
    entry = next(tmp_path.glob("*/entry.json")).parent
    whole = {name: (entry / name).read_bytes() for name in FILES}
    done = damage(entry / draw.choice(FILES), draw)
    again = extract()
    found = again.features, again.logits, again.statistics.covariance
    for value, other in zip(wanted, found, strict=True):
        assert np.array_equal(value, other), done
    # Bytes of entry.json that say nothing may differ; all others are looked at.
    if "entry.json flip" not in done:
        assert network.images == 24 and "computed again" in caplog.text, done
    assert {name: (entry / name).read_bytes() for name in FILES} == whole or "entry" in done
    assert not list(tmp_path.glob(".making*"))


def test_a_full_disk_leaves_nothing_and_is_one_error(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (500, 8, 8, 3), np.uint8)
    images = features.Images("random", 500, {"seed": 0}, lambda: np.array_split(pixels, 10))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, before[1]))  # bytes; 96,000 are needed
    try:
        with pytest.raises(OSError, match=f"File too large: '{tmp_path}"):
            features.extract(images, TinyInception(), "mixed_7", tmp_path, lambda count: None)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert [path.suffix for path in tmp_path.iterdir()] == [".lock"]
    found = features.extract(images, TinyInception(), "mixed_7", tmp_path, lambda count: None)
    assert found.count == 500


# Files of Inception's weights

FIRST = "conv/kernel"


@pytest.fixture
def small_limit(monkeypatch):
    monkeypatch.setattr(limits, "INCEPTION_BYTES", 2**20)


def npy(shape, version=1, order=False, descr="<f4"):
    """bytes: the header of an array, and no data."""
    text = repr({"descr": descr, "fortran_order": order, "shape": shape}).encode() + b"\n"
    length = struct.pack("<H" if version == 1 else "<I", len(text))
    return b"\x93NUMPY" + bytes([version, 0]) + length + text


def npz(path, content, **changes):
    """An .npz with one array of the network, whose entry is changed after it was written."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"{FIRST}.npy", content)
        for name, value in changes.items():
            setattr(archive.filelist[0], name, value)
    return path


@pytest.mark.parametrize(
    "content",
    [
        npy((10**10,)),
        npy((3, 3, 3, 10**9)),
        npy((-1, 3)),
        npy((2**63, 2**63)),
        npy((3, 3, 3, 32)),  # no data
        npy((3, 3, 3, 32), descr="|O"),
        npy((3, 3, 3, 32), descr=">f4"),
        npy((3, 3, 3, 32), version=2) + b"\0" * 100,
        npy((3, 3, 3, 32), version=9),
        npy("x" * 30_000),
        b"\x93NUMPY\x02\x00\xff\xff\xff\xff" + b"\0" * 100,  # a header of 4 GB
        b"\x93NUMPY",
        b"",
        b"{}",
        b"\0" * 3_000_000,  # more than the array has
    ],
)
def test_arrays_that_claim_too_much_are_refused(tmp_path, content):
    with little_memory(2e8), refused("--inception PATH"):
        read_weights(npz(tmp_path / "w.npz", content))


@pytest.mark.parametrize(
    "changes", [{"flag_bits": 1}, {"compress_type": 99}, {"file_size": 2**32 - 2}, {"CRC": 1}]
)
def test_entries_that_are_encrypted_or_lie_are_refused(tmp_path, changes):
    array = io.BytesIO()
    np.save(array, np.zeros(KERNEL_SHAPES["conv"], np.float32))
    with refused("--inception PATH"):
        read_weights(npz(tmp_path / "w.npz", array.getvalue(), **changes))


def tgz(path, name, size, pax=None, data=b""):
    """A .tgz with one entry of `size` bytes, by what its header says."""
    info = tarfile.TarInfo(name)
    info.size = size
    if pax:
        info.pax_headers = pax
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(info.tobuf(tarfile.PAX_FORMAT if pax else tarfile.GNU_FORMAT) + data)
    return path


@pytest.mark.parametrize(
    ("name", "size", "pax", "data", "why"),
    [
        (GRAPH_NAME, 4 * 10**9, None, b"", "4,000,000,000 bytes"),
        (GRAPH_NAME, 3_000_000, None, b"\0" * 3_000_000, "unpacks to more"),
        ("other", 3_000_000, None, b"\0" * 3_000_000, "unpacks to more"),
        ("other", 4 * 10**9, None, b"\0" * 3_000_000, "unpacks to more"),
        (GRAPH_NAME, 100, None, b"", "no usable"),  # cut
        (GRAPH_NAME, 100, {"size": "99999999999999999999"}, b"\0" * 600, "bytes"),
        (GRAPH_NAME, 100, {"size": "-5"}, b"\0" * 600, ""),
        (GRAPH_NAME, 100, {"comment": "x" * 2_000_000}, b"\0" * 600, "unpacks to more"),
        (GRAPH_NAME, 100, {"GNU.sparse.realsize": "40000000000"}, b"\0" * 600, ""),
        (GRAPH_NAME, 600, None, b"\xff" * 1024, "no usable"),
    ],
)
def test_archives_unpack_to_the_limit_at_most(tmp_path, small_limit, name, size, pax, data, why):
    with little_memory(2e7), refused("--inception PATH", why):
        read_weights(tgz(tmp_path / "w.tgz", name, size, pax, data))


def test_a_graph_may_not_claim_ten_gigabytes_by_one_number(tmp_path):
    graph = tf.compat.v1.GraphDef()
    norm = graph.node.add(name="conv/batchnorm", op="BatchNormWithGlobalNormalization")
    norm.attr["variance_epsilon"].f = 0.001
    tensor = graph.node.add(name="conv/batchnorm/moving_mean", op="Const").attr["value"].tensor
    tensor.dtype = tf.float32.as_datatype_enum
    tensor.tensor_shape.dim.add(size=2_500_000_000)
    tensor.float_val.append(1.0)
    data = graph.SerializeToString()
    padding = b"\0" * (-len(data) % 512)
    with refused("moving_mean", "[2500000000]"):
        read_weights(tgz(tmp_path / "w.tgz", GRAPH_NAME, len(data), data=data + padding))


@pytest.mark.parametrize("kind", SPECIAL)
def test_what_is_no_file_of_weights_is_refused_at_once(tmp_path, kind):
    put_special(tmp_path / "w", kind)
    with little_memory(), refused("--inception PATH"):
        read_weights(tmp_path / "w")


def test_an_archive_with_a_folder_for_an_array_has_none(tmp_path):
    with zipfile.ZipFile(tmp_path / "w", "w") as archive:
        archive.writestr(f"{FIRST}.npy/", b"")
    with refused("--inception PATH", "arrays are missing"):
        read_weights(tmp_path / "w")


@pytest.mark.parametrize("seed", range(30))
def test_random_bytes_are_no_weights(tmp_path, seed):
    draw = random.Random(seed)
    magic = draw.choice([b"PK\x03\x04", b"\x1f\x8b\x08\x00", b"\n", b"", b"PK\x05\x06"])
    (tmp_path / "w").write_bytes(magic + draw.randbytes(draw.randrange(2000)))
    with refused("--inception PATH"):
        read_weights(tmp_path / "w")
