"""Hostile files, numbers and places, made from seeds: one clear line or a clean result."""

import io
import json
import struct
import zipfile

import h5py
import numpy as np
import pytest
from helpers import SPECIAL, one_line, put_special, small_growth

from dcgan_tf.common.limits import ZIP_INDEX_BYTES
from dcgan_tf.generate.command import parse_generation
from dcgan_tf.generate.latents import BLOCK, FileLatents
from dcgan_tf.models.keras_file import read_structure

LENGTH = 8


@pytest.fixture(autouse=True)
def bounded_memory():
    """No case may take more than a gigabyte above what there was."""
    with small_growth(2**30):
        yield


# Archives: every part of a .keras file hostile


def weights(rows=4):
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file["layers/dense/vars/0"] = np.zeros((rows, 3), np.float32)
    return buffer.getvalue()


CONTENT = weights()
CONFIG = json.dumps({"class_name": "Functional", "config": {}}).encode()


def archive(path, files, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", compression) as target:
        for name, content in files:
            target.writestr(name, content)
    return path


def changed(path, offset, value, central=False):
    """Write into the header of each entry: at `offset` of the central or of the local one."""
    data = bytearray(path.read_bytes())
    mark, start = (b"PK\x01\x02" if central else b"PK\x03\x04"), 0
    while (start := data.find(mark, start)) >= 0:
        data[start + offset : start + offset + len(value)] = value
        start += 4
    path.write_bytes(data)


def encrypted(path, random):
    archive(path, [("config.json", CONFIG), ("model.weights.h5", CONTENT)])
    changed(path, 6, b"\x01\x00")
    changed(path, 8, b"\x01\x00", central=True)


def unknown_compression(path, random):
    archive(path, [("config.json", CONFIG), ("model.weights.h5", CONTENT)])
    method = struct.pack("<H", random.choice([6, 97, 99, 12345]))
    changed(path, 8, method)
    changed(path, 10, method, central=True)


def claims_4_gb(path, random):
    archive(path, [("config.json", CONFIG), ("model.weights.h5", CONTENT)])
    changed(path, 24, struct.pack("<I", 2**32 - 2), central=True)


def bomb(path):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as target:
        target.writestr("config.json", CONFIG)
        with target.open("model.weights.h5", "w") as entry:
            for _ in range(600):
                entry.write(bytes(2**20))


def many_names(path, random):
    archive(path, [("config.json", CONFIG), ("model.weights.h5", CONTENT)])
    data = path.read_bytes()
    start, end = data.find(b"PK\x01\x02"), data.find(b"PK\x05\x06")
    name = struct.pack("<4s24xH16x", b"PK\x01\x02", 4) + b"name"
    names = data[start:end] + name * (ZIP_INDEX_BYTES // len(name))
    count = 2 + ZIP_INDEX_BYTES // len(name)
    tail = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, count, count, len(names), start, 0)
    path.write_bytes(data[:start] + names + tail)


def twice(path, random):
    with pytest.warns(UserWarning, match="Duplicate name"):
        archive(path, [("config.json", CONFIG)] * 12 + [("model.weights.h5", CONTENT)])


def without(path, random):
    archive(path, [(random.choice(["config.json", "model.weights.h5"]), CONFIG)])


def deep(path, random):
    text = b"[" * 200_000
    archive(path, [("config.json", text), ("model.weights.h5", CONTENT)])


def flipped(path, random):
    archive(path, [("config.json", CONFIG), ("model.weights.h5", CONTENT)])
    data = bytearray(path.read_bytes())
    data[random.randint(len(data))] ^= 1 << random.randint(8)
    path.write_bytes(data)


def cut(path, random):
    archive(path, [("config.json", CONFIG), ("model.weights.h5", CONTENT)])
    data = path.read_bytes()
    path.write_bytes(data[: random.randint(len(data))])


def noise(path, random):
    path.write_bytes(random.bytes(random.randint(5000)))


REFUSED = [encrypted, unknown_compression, claims_4_gb, twice, without, deep, cut, noise]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("make", REFUSED, ids=lambda f: f.__name__)
def test_a_hostile_keras_file_is_one_line(make, seed, tmp_path):
    path = tmp_path / "g.keras"
    make(path, np.random.RandomState(seed))
    found = one_line(read_structure, path, "--model")
    assert isinstance(found, str) and found.startswith(f"--model {path}: ")


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (encrypted, "is encrypted"),
        (unknown_compression, "compression method"),
        (many_names, "its list of names has 1.0 MB"),
    ],
)
def test_what_zipfile_says_is_passed_on(make, words, tmp_path):
    make(tmp_path / "g.keras", np.random.RandomState(0))
    assert words in one_line(read_structure, tmp_path / "g.keras", "--model")


@pytest.mark.slow
def test_a_bomb_is_not_unpacked(tmp_path):
    bomb(tmp_path / "g.keras")
    assert "unpacks to 629.1 MB" in one_line(read_structure, tmp_path / "g.keras", "--model")


@pytest.mark.parametrize("seed", range(20))
def test_a_flipped_bit_is_one_line_or_does_not_matter(seed, tmp_path):
    flipped(tmp_path / "g.keras", np.random.RandomState(seed))
    found = one_line(read_structure, tmp_path / "g.keras", "--model")
    assert isinstance(found, str) or found[0] == json.loads(CONFIG)


def test_the_untouched_file_is_read(tmp_path):
    files = [("config.json", CONFIG), ("model.weights.h5", CONTENT)]
    structure, _ = read_structure(archive(tmp_path / "g.keras", files), "--model")
    assert structure["class_name"] == "Functional"


# Latents


def header(shape, descr="'<f4'", order=False, extra=""):
    text = f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, {extra}}}"
    text = text.ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode("latin1")


HEADERS = [
    header((10**9, LENGTH)),
    header((2**63, LENGTH)),
    header((2**62, LENGTH)),
    header((-1, LENGTH)),
    header((10**4000, LENGTH)),
    header("(" * 300 + ")" * 300),
    header((1, LENGTH), "'|O'"),
    header((1, LENGTH), "'<c16'"),
    header((1, LENGTH), "'<M8[s]'"),
    header((1, LENGTH), "'<U7'"),
    header((1, LENGTH), "[('a', '<f4')]"),
    header((1, LENGTH), "'no such type'"),
    header((1, LENGTH), extra="'more': 1"),
    header("'two'"),
    header("__import__('os').system('true')"),
    b"\x93NUMPY\x09\x00" + bytes(200),
    b"PK\x03\x04" + bytes(200),
    b"\x80\x04K\x01.",
    b"",
]


@pytest.mark.parametrize("index", range(len(HEADERS)))
def test_a_hostile_header_is_one_line(index, tmp_path, recwarn):
    path = tmp_path / "z.npy"
    path.write_bytes(HEADERS[index] + bytes(64))
    found = one_line(FileLatents, path, LENGTH, 100)
    assert isinstance(found, str) and found.startswith(f"--latents {path}: ")
    assert not list(recwarn)  # each would be a line of its own


@pytest.mark.parametrize("seed", range(12))
def test_any_array_is_one_line_or_its_own_numbers(seed, tmp_path):
    random = np.random.RandomState(seed)
    kinds = [np.float16, np.float64, ">f4", np.int8, np.uint64, bool, complex, object, "S3"]
    shape = random.choice([1, LENGTH, 3], size=random.randint(1, 4))
    shape[-1] = LENGTH if seed % 2 else shape[-1]
    values = (random.randn(*shape) * 10.0 ** random.choice([0, 3, 39, 300])).astype(np.float64)
    with np.errstate(all="ignore"):
        values = values.astype(kinds[random.randint(len(kinds))])
    if seed % 3 == 0:
        values = np.asfortranarray(values)
    np.save(tmp_path / "z.npy", values, allow_pickle=True)
    found = one_line(FileLatents, tmp_path / "z.npy", LENGTH, 100)
    if not isinstance(found, str):
        rows = found.rows(0, found.count)
        assert rows.dtype == np.float32 and np.isfinite(rows).all()
        np.testing.assert_array_equal(rows, values.astype(np.float32))


def test_good_arrays_are_taken(tmp_path):
    values = np.arange(3 * LENGTH).reshape(3, LENGTH)
    np.save(tmp_path / "z.npy", values)
    latents = FileLatents(tmp_path / "z.npy", LENGTH, 3, truncation=0.5)
    np.testing.assert_array_equal(latents.rows(1, 3), values[1:] / 2)
    assert "--limit raises this" in one_line(FileLatents, tmp_path / "z.npy", LENGTH, 2)


def test_a_bad_number_at_the_end_of_a_large_file_is_found_before_the_first_picture(tmp_path):
    values = np.lib.format.open_memmap(
        tmp_path / "z.npy", "w+", np.float32, (3 * BLOCK + 7, LENGTH)
    )
    values[-1, -1] = np.inf
    values.flush()
    found = one_line(FileLatents, tmp_path / "z.npy", LENGTH, 10**6)
    assert "NaN, infinite or beyond float32" in found


@pytest.mark.parametrize("kind", SPECIAL)
def test_what_is_no_regular_file_is_one_line(kind, tmp_path):
    put_special(tmp_path / "f", kind)
    assert one_line(FileLatents, tmp_path / "f", LENGTH, 100).startswith("--latents ")
    assert one_line(read_structure, tmp_path / "f", "--model").startswith("--model ")


def test_random_bytes_are_no_latents(tmp_path):
    noise(tmp_path / "z.npy", np.random.RandomState(0))
    assert "--latents" in one_line(FileLatents, tmp_path / "z.npy", LENGTH, 100)


# The command line


HUGE = "9" * 5000
REFUSED_FLAGS = [
    ["--n", "5000000000"],
    ["--n", HUGE],
    ["--n", "1e3"],
    ["--n", "\u0663\u0664\u0665" * 9],
    ["--seeds", "0-4294967295"],
    ["--seeds", f"0-{HUGE}"],
    ["--seeds", "4294967296"],
    ["--seeds", "1,2,1"],
    ["--seeds", "0-5,3"],
    ["--seeds", ","],
    ["--seeds", "\u00b2"],
    ["--interpolate", "1,2", "--frames", "1000000000000"],
    ["--interpolate", "0-99999", "--frames", "24"],
    ["--interpolate", "1,2", "--frames", HUGE],
    ["--fill", "1e999"],
    ["--fill", "nan"],
    ["--fill", "0.5,0.50"],
    ["--fill", "0,-0"],
    ["--fill", ""],
    ["--truncation", "1e308"],
    ["--truncation", "inf"],
    ["--scale", "0"],
    ["--scale", "1000000"],
    ["--limit", "10", "--n", "11"],
    ["--limit", "0"],
    ["--limit", HUGE],
    ["--out", ""],
    ["--out", "~nobody-of-that-name/x"],
    ["--out", "-x"],
    ["--out", "a\0b"],
    ["--out", "taken"],
    ["--model", ""],
    ["--model", "loop"],
    ["--model", "."],
    ["--model", "/dev/zero"],
    ["--model", "\x1b[2J.keras"],
    ["--model", "a\0b"],
    ["--run", ""],
    ["--run", "~nobody-of-that-name"],
    ["--latents", ""],
]


@pytest.fixture
def place(here):
    (here / "g.keras").write_bytes(b"not opened")
    (here / "taken").write_text("a file")
    (here / "loop").symlink_to("loop")
    return here


@pytest.mark.parametrize("index", range(len(REFUSED_FLAGS)))
def test_hostile_flags_are_one_line_and_touch_nothing(index, place):
    argv = REFUSED_FLAGS[index]
    named = argv[0] in ("--model", "--run")
    before = sorted(place.rglob("*"))
    found = one_line(parse_generation, argv if named else ["--model", "g.keras", *argv])
    assert isinstance(found, str)
    assert sorted(place.rglob("*")) == before


@pytest.mark.parametrize("seed", range(20))
def test_random_command_lines(seed, place):
    random = np.random.RandomState(seed)
    values = [
        "",
        "0",
        "-1",
        "7",
        "0-3",
        "1,2",
        "1e9",
        "nan",
        "x" * 3000,
        "\x1b[0m",
        "é",
        "loop",
        ".",
    ]
    flags = ["--n", "--seeds", "--fill", "--truncation", "--frames", "--scale", "--limit", "--out"]
    argv = ["--model=g.keras"]
    for flag in random.choice(flags, random.randint(1, 4), replace=False):
        argv.append(f"{flag}={values[random.randint(len(values))]}")
    one_line(parse_generation, argv)
    assert sorted(path.name for path in place.iterdir()) == ["g.keras", "loop", "taken"]


def test_limits_can_be_raised(place):
    request = parse_generation(["--model", "g.keras", "--n", "200000", "--limit", "200000"])
    assert len(request.seeds) == 200_000
