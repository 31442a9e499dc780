"""Hostile data, generated from seeds: each is read, skipped with a reason, or refused in one line.

No TensorFlow: sources are opened and all that they name is read and opened as an image.
"""

import gzip
import io
import json
import os
import random
import struct
import tarfile
import warnings
import zipfile
import zlib

import numpy as np
import pytest
from helpers import SPECIAL, little_memory, one_line, put_special, write_files
from PIL import Image

from dcgan_tf.common.config import Config
from dcgan_tf.common.errors import UserError
from dcgan_tf.common.files import digest
from dcgan_tf.common.foreign import BadFile
from dcgan_tf.common.images import encode
from dcgan_tf.data.binary import Arrays
from dcgan_tf.data.forms import open_picture
from dcgan_tf.data.sources import open_source

PNG = encode(Image.new("RGB", (5, 4), (9, 80, 200)), "PNG")
SMALL = 0.001  # --max-pixels: a thousand pixels, so that files above 1 MB are too large
POSTSCRIPT = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n"
OTHER_FORMATS = {  # what Pillow opens beyond our list, by its first bytes
    "eps": POSTSCRIPT,
    "wmf": b"\xd7\xcd\xc6\x9a" + bytes(60),
    "psd": b"8BPS\0\1" + bytes(40),
    "ico": encode(Image.new("RGB", (16, 16)), "ICO"),
    "tga": encode(Image.new("RGB", (9, 9)), "TGA"),
    "sgi": encode(Image.new("RGB", (9, 9)), "SGI"),
    "jp2": b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(40),
    "xbm": b"#define a_width 9\n#define a_height 9\nstatic char a_bits[] = {0};\n",
}


def read_all(place, dataset="folder", **fields):
    """{name: image size or reason} of all that a source names, and what it left out."""
    source = open_source(Config(dataset=dataset, data=str(place), **fields))
    assert len(digest([source.fingerprint, source.names, source.left_out])) == 64
    json.dumps(source.left_out).encode()
    outcome = {}
    for index, encoded in source.read(range(len(source.names))):
        outcome[source.names[index]] = _opened(encoded)
    assert list(outcome) == source.names
    if isinstance(source, Arrays):
        source.labels()
    return outcome, source.left_out


def _opened(encoded):
    if isinstance(encoded, BadFile):
        return str(encoded)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return open_picture(io.BytesIO(encoded)).size
    except Exception as error:
        return f"{type(error).__name__}"


def clean(place, dataset="folder", **fields):
    """The outcome, or the one line of a refusal."""
    outcome = one_line(read_all, place, dataset, **fields)
    if isinstance(outcome, str):
        assert outcome.startswith("--data") and len(outcome) < 600
    return outcome


def test_no_format_beyond_the_list_is_opened(tmp_path, monkeypatch):
    monkeypatch.setattr("subprocess.Popen", lambda *a, **k: pytest.fail("a program was started"))
    write_files(tmp_path, {f"{kind}.jpg": content for kind, content in OTHER_FORMATS.items()})
    assert set(read_all(tmp_path)[0].values()) == {"UnidentifiedImageError"}


NAMES = [b"\xff\xfe.png", b"\x1b[31mred.png", b"a\nb.png", b"-x.png", b"\x7f.png", b"\xc3(.png"]
NAMES += ["\u202egnp.png".encode(), b"~nobody.png", b"%s%n.png", b" .png", b"{0}.png", b"'.png"]


def test_any_name_is_read_and_written(tmp_path):
    for folder in (b"", b"-x", b"\xff"):
        for name in NAMES:
            path = os.path.join(os.fsencode(tmp_path), folder, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as file:
                file.write(PNG)
    outcome, _ = read_all(tmp_path)
    assert len(outcome) == 3 * len(NAMES) and set(outcome.values()) == {(5, 4)}


PLACES = ["~nobody/x", "a\0b", "x" * 400, "/dev/zero", "loop", "pipe", "/proc/self/mem"]


@pytest.mark.parametrize("place", PLACES, ids=range(len(PLACES)))
def test_places_that_are_none_are_refused(place, here):
    os.symlink("loop", here / "loop")
    os.mkfifo(here / "pipe")
    for dataset in ("folder", "mnist"):
        assert isinstance(clean(place, dataset), str)


def test_without_a_home_directory(here, monkeypatch):
    monkeypatch.setattr("os.path.expanduser", lambda path: path)
    assert "write the path without ~" in clean("~/x")
    with pytest.raises(UserError, match="no CelebA found"):
        open_source(Config(dataset="celeba"))


REASONS = {"pipe": "named pipe", "device": "device", "huge": "5.4 GB"}


@pytest.mark.parametrize("kind", SPECIAL)
@pytest.mark.parametrize("name", ["x.png", "train-images-idx3-ubyte", "data_batch_1.bin"])
def test_what_is_no_regular_file_is_named_and_never_read(kind, name, tmp_path):
    put_special(write_files(tmp_path, {"ok.png": PNG}) / name, kind)
    for dataset in ("folder", "mnist", "cifar10"):
        result = clean(tmp_path, dataset)
        if isinstance(result, str):
            assert name in result
        elif name.endswith("png") and kind != "folder":
            assert REASONS.get(kind, "cannot be read") in result[0][name]
            assert result[0]["ok.png"] == (5, 4)


def test_a_link_to_a_folder_is_named(tmp_path):
    (write_files(tmp_path, {"ok.png": PNG}) / "x.png").symlink_to(tmp_path)
    assert "link to a folder" in read_all(tmp_path)[1]["x.png/"]


def test_a_folder_that_may_not_be_read_is_named(tmp_path, monkeypatch):
    write_files(tmp_path, {"a.png": PNG, "closed/b.png": PNG})
    scandir = os.scandir

    def refuse(path):
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr("os.scandir", refuse)
    outcome, left_out = read_all(tmp_path)
    assert outcome == {"a.png": (5, 4)} and "Permission denied" in left_out["closed/"]
    assert "cannot be read" in clean(tmp_path / "closed")


# Zips


def zipped(files, last=0):
    """A zip of (name, content) pairs; `last` is the compression of the last one."""
    buffer = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(buffer, "w") as archive:
        warnings.simplefilter("ignore")
        for position, (name, content) in enumerate(files, 1):
            archive.writestr(name, content, last if position == len(files) else 0)
    return bytearray(buffer.getvalue())


def central(raw, offset, fmt, value):
    """The zip with a field of the last entry of its list, and of its header, changed."""
    struct.pack_into(fmt, raw, raw.rindex(b"PK\1\2") + offset, value)
    struct.pack_into(fmt, raw, raw.rindex(b"PK\3\4") + offset - 2, value)
    return raw


TWO = [("a.png", PNG), ("b.png", PNG)]
ZIPS = {
    "encrypted": lambda: central(zipped(TWO), 8, "<H", 1),
    "method 99": lambda: central(zipped(TWO), 10, "<H", 99),
    "claims 4 GB": lambda: central(zipped(TWO), 24 + 0, "<I", 0xFFFFFFF0),
    "unpacks to 64 MB": lambda: zipped([*TWO[:1], ("b.png", bytes(64 << 20))], 8),
    "bzip2": lambda: zipped([*TWO[:1], ("b.png", bytes(1 << 20))], 12),
    "lzma": lambda: zipped([*TWO[:1], ("b.png", bytes(1 << 20))], 14),
}


@pytest.mark.parametrize("kind", ZIPS)
def test_an_entry_that_cannot_be_read_is_skipped_with_a_reason(kind, tmp_path):
    path = tmp_path / "a.zip"
    path.write_bytes(ZIPS[kind]())
    with little_memory():
        outcome, _ = read_all(path, max_pixels=SMALL)
    assert outcome["a.png"] == (5, 4)
    words = {"encrypted": "encrypted", "claims 4 GB": "4.3 GB", "unpacks to 64 MB": "67.1 MB"}
    assert words.get(kind, "compressed by") in outcome["b.png"]


def test_the_same_name_twelve_times_is_one_image_the_last(tmp_path):
    files = [("a.png", encode(Image.new("RGB", (n + 1, 1)), "PNG")) for n in range(12)]
    (tmp_path / "a.zip").write_bytes(zipped(files))
    outcome, left_out = read_all(tmp_path / "a.zip")
    assert outcome == {"a.png": (12, 1)} and "twice" in left_out["a.png (again)"]


def test_a_list_of_names_that_claims_4_gb_is_refused_unread(tmp_path):
    path = tmp_path / "a.zip"
    with path.open("wb") as file:
        file.truncate(4 << 30)
        file.seek(0, 2)
        file.write(struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 1, 1, 0xFFFF0000, 0, 0))
    with little_memory():
        assert "list of names" in clean(path)


# Raw files


def idx(shape, content=b"", magic=2051):
    return struct.pack(">4i", magic, *shape) + content


IDX = {
    "negative": idx((-1, -28, -28), bytes(784)),
    "wraps to 784": idx((2**16 + 1, 2**16, 784), bytes(784)),
    "none": idx((0, 28, 28)),
    "claims 1 GB and more": idx((2_000_000, 28, 28)),
    "short": idx((2, 28, 28), bytes(784)),
    "long": idx((1, 28, 28), bytes(785)),
    "labels": idx((1, 28, 28), bytes(784), magic=2049),
    "cut": b"\0\0\x08\x03\0",
}


@pytest.mark.parametrize("kind", IDX)
@pytest.mark.parametrize("packed", [False, True])
def test_wrong_idx_files_are_refused_by_name(kind, packed, tmp_path):
    name = "a-images-idx3-ubyte" + ".gz" * packed
    write_files(tmp_path, {name: gzip.compress(IDX[kind]) if packed else IDX[kind]})
    message = clean(tmp_path, "mnist")
    assert name in message and ("download it again" in message or "claims" in message)


def test_idx_files_of_two_sizes_are_refused_by_name(tmp_path):
    files = {"a-images-idx3-ubyte": idx((1, 28, 28), bytes(784))}
    files["b-images-idx3-ubyte"] = idx((1, 28, 14), bytes(392))
    message = clean(write_files(tmp_path, files), "mnist")
    assert "28x28 in a-images" in message and "14x28 in b-images" in message


def test_a_gzip_bomb_is_read_as_far_as_its_header_says(tmp_path):
    path = tmp_path / "a-images-idx3-ubyte.gz"
    pack = zlib.compressobj(9, wbits=31)
    with path.open("wb") as file:
        file.write(pack.compress(idx((3, 28, 28))))
        for _ in range(64):
            file.write(pack.compress(bytes(1 << 20)))
        file.write(pack.flush())
    with little_memory():
        assert "not a whole IDX" in clean(tmp_path, "mnist")


# Wrong bytes


def arrays():
    return idx((3, 28, 28), np.random.default_rng(0).bytes(3 * 784))


def npz():
    buffer = io.BytesIO()
    np.savez(buffer, x_train=np.zeros((3, 4, 4), np.uint8), y_train=np.zeros(3, np.uint8))
    return buffer.getvalue()


def tar(mode="w"):
    buffer, info = io.BytesIO(), tarfile.TarInfo("data_batch_1.bin")
    info.size = 2 * 3073
    with tarfile.open(fileobj=buffer, mode=mode) as archive:
        archive.addfile(info, io.BytesIO(bytes(info.size)))
    return buffer.getvalue()


def image(kind):
    return encode(Image.effect_noise((40, 30), 90).convert("RGB"), kind)


FILES = {  # data set, name, content, how many first bytes are hit
    "zip": ("folder", "a.zip", lambda: zipped([*TWO, ("c/d.jpg", POSTSCRIPT)]), None),
    "zip, deflated": ("folder", "a.zip", lambda: zipped([*TWO, ("c/d.jpg", POSTSCRIPT)], 8), None),
    "npz": ("mnist", "mnist.npz", npz, None),
    "idx": ("mnist", "a-images-idx3-ubyte", arrays, 40),
    "idx.gz": ("mnist", "a-images-idx3-ubyte.gz", lambda: gzip.compress(arrays()), 40),
    "tar": ("cifar10", "a.tar", tar, None),
    "tar.gz": ("cifar10", "a.tar.gz", lambda: tar("w:gz"), None),
    **{
        kind: ("folder", "a.png", lambda kind=kind: image(kind), 300)
        for kind in ("JPEG", "PNG", "GIF", "TIFF", "BMP", "WEBP", "PPM")
    },
}


@pytest.mark.parametrize("kind", FILES)
def test_wrong_bytes_never_fail_otherwise(kind, tmp_path):
    dataset, name, make, first = FILES[kind]
    for seed in range(10):
        chance = random.Random(seed)
        raw = bytearray(make())
        for _ in range(chance.randint(1, 12)):
            raw[chance.randrange(len(raw))] = chance.randrange(256)
            raw[chance.randrange(first or len(raw))] = chance.randrange(256)
        if chance.random() < 0.2:
            del raw[chance.randrange(len(raw)) :]
        clean(write_files(tmp_path / str(seed), {name: raw}), dataset, max_pixels=SMALL)
