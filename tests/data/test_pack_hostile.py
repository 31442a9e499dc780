"""Packs of hostile pictures, damaged packs, and packs whose archive is gone."""

import json
import logging
import os
import resource
import signal
import zlib
from dataclasses import replace

import numpy as np
import pytest
from helpers import face_jpeg, faces_zip, write_files
from PIL import Image, ImageFile

from dcgan_tf.common.config import Config
from dcgan_tf.common.config_file import read_config, to_toml
from dcgan_tf.common.errors import UserError
from dcgan_tf.common.files import digest
from dcgan_tf.common.images import encode
from dcgan_tf.common.runs import Run, find_again
from dcgan_tf.data import pack, pack_making
from dcgan_tf.data.forms import picture_suffixes
from dcgan_tf.data.pack import open_pack, open_pictures
from dcgan_tf.data.pack_making import npy_header
from dcgan_tf.data.sources import open_source


def picture(seed=0, size=(64, 64), kind="PNG"):
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), np.uint8)
    return encode(Image.fromarray(pixels), kind)


@pytest.fixture
def own(here):
    """Packs `own/` with {name: bytes} in it, beside a good picture."""

    def packed(files, **fields):
        new = {"good.png": picture()} | files
        write_files(here / "own", {n: c for n, c in new.items() if not (here / "own" / n).exists()})
        config = Config(**{"dataset": "folder", "data": "own", "max_bad": 0.9} | fields)
        return open_pack(config, open_source(config))

    return packed


def warnings(caplog):
    return [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]


# Pictures


def test_postscript_named_as_a_picture_starts_no_program(own, monkeypatch, tmp_path):
    gs = write_files(tmp_path / "bin", {"gs": f"#!/bin/sh\ntouch {tmp_path}/started\n".encode()})
    (gs / "gs").chmod(0o755)
    monkeypatch.setenv("PATH", f"{gs}:{os.environ['PATH']}")
    script = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 64 64\n%%EndComments\nshowpage\n"
    result = own({"x.jpg": script, "y.png": script})
    assert result.manifest["skipped"] == {"x.jpg": "not an image", "y.png": "not an image"}
    assert not (tmp_path / "started").exists()


def test_large_pictures_are_skipped_by_their_header_unless_allowed(own, caplog):
    large = {"large.png": picture(size=(300, 400)), "ok.png": picture(size=(300, 300))}
    result = own(large, max_pixels=0.1)
    reason = "300x400, larger than --max-pixels 0.1 megapixels"
    assert result.manifest["skipped"] == {"large.png": reason}
    assert reason in warnings(caplog)[0]
    more = own(large, max_pixels=0.12)
    assert more.path != result.path and len(more.pixels) == 3
    assert own(large).path not in (more.path, result.path)


def header_of(width, height):
    """A PNG that claims a size and has no pixels."""
    body = b"IHDR" + width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes([8, 2, 0, 0, 0])
    chunk = (13).to_bytes(4, "big") + body + zlib.crc32(body).to_bytes(4, "big")
    return b"\x89PNG\r\n\x1a\n" + chunk + (9).to_bytes(4, "big") + b"IDAT" + bytes(13)


@pytest.mark.parametrize("side", [8_001, 13_000, 2**31 - 1])
def test_a_picture_that_only_claims_to_be_huge_is_not_decoded(side, own, monkeypatch):
    load = ImageFile.ImageFile.load
    monkeypatch.setattr(
        ImageFile.ImageFile,
        "load",
        lambda image: load(image) if image.size == (64, 64) else pytest.fail("decoded"),
    )
    result = own({"huge.png": header_of(side, side)})
    assert "larger than --max-pixels 64" in result.manifest["skipped"]["huge.png"]


def test_large_transparent_and_sixteen_bit_pictures_are_converted_strip_by_strip(own):
    """More rows than a strip has, so that a strip in the wrong place would be seen."""
    rng = np.random.default_rng(0)
    sixteen = rng.integers(0, 65536, (700, 700), np.uint16)
    rgba = rng.integers(0, 256, (700, 700, 4), np.uint8)
    alpha = rgba[..., 3:] / 255
    files = {
        "a.png": encode(Image.fromarray(sixteen), "PNG"),
        "b.png": encode(Image.fromarray((sixteen >> 8).astype(np.uint8)), "PNG"),
        "c.png": encode(Image.fromarray(rgba), "PNG"),
        "d.png": encode(
            Image.fromarray(np.rint(rgba[..., :3] * alpha + 255 * (1 - alpha)).astype(np.uint8)),
            "PNG",
        ),
    }
    a, b, c, d, _ = own(files).pixels.astype(int)
    np.testing.assert_array_equal(a, b)
    np.testing.assert_allclose(c, d, atol=1)


def test_pictures_of_ones_own_taken_for_celeba_are_told_the_flag(own):
    files = {f"{i}.png": picture(i) for i in range(3)}
    with pytest.raises(UserError, match="then add --dataset folder") as caught:
        own(files, dataset="celeba")
    assert "64x64, expected CelebA's 178x218" in str(caught.value)
    with pytest.raises(UserError, match="then add --dataset folder"):
        own(files | {f"face{i}.jpg": face_jpeg(i) for i in range(4)}, dataset="celeba", max_bad=0.1)
    with pytest.raises(UserError, match="or add --dataset folder"):
        own(files, dataset="celeba", subset=2000)
    assert not list((pack.Path("data/packs")).glob("*[!k]"))


@pytest.mark.skipif(".avif" not in picture_suffixes(), reason="this Pillow has no AVIF")
def test_avif_is_read(own):
    assert own({"a.avif": picture(1, kind="AVIF")}).manifest["names"] == ["a.avif", "good.png"]


@pytest.mark.skipif(".heic" in picture_suffixes(), reason="pillow-heif is installed")
def test_kinds_that_are_not_read_are_named_with_what_they_need(own, caplog):
    others = {f"{i}.HEIC": b"x" for i in range(7)} | {"b.psd": b"x", "list.csv": b"x"}
    result = own(others)
    (warning,) = warnings(caplog)
    assert "left out 8" in warning and "pip install pillow-heif" in warning
    assert "list.csv" not in warning
    kept = json.loads((result.path / "manifest.json").read_text())["left_out"]
    assert set(kept) == set(others) and "convert" in kept["b.psd"]


def test_what_was_left_out_later_is_in_the_manifest_too(own):
    own({})
    again = own({"b.psd": b"x"})
    assert "b.psd" in json.loads((again.path / "manifest.json").read_text())["left_out"]


def test_names_that_are_no_text_are_in_the_manifest_and_back(own, here):
    (here / "own").mkdir()
    name = os.fsdecode(b"\xff\x1b[31m.png")
    (here / "own" / name).write_bytes(picture(1))
    assert name in own({}).manifest["names"]
    assert name in own({}).manifest["names"]  # the second time from the disk


# The disk


@pytest.fixture
def small_disk():
    """Files of at most 20 kB, as a full disk would have it."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    yield lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, handler)


def test_a_disk_that_fills_up_is_one_line_and_leaves_nothing(own, small_disk):
    files = {f"{i}.png": picture(i, (8, 8)) for i in range(9)}
    write_files(pack.Path("own"), files)
    small_disk()
    with pytest.raises(UserError, match="packs data/packs: File too large") as caught:
        own({})
    assert "\n" not in str(caught.value)
    assert [p.name for p in pack.Path("data/packs").iterdir() if p.suffix != ".lock"] == []


def damage(path, position=-1):
    raw = bytearray(path.read_bytes())
    raw[position] ^= 1
    path.write_bytes(raw)


@pytest.mark.parametrize("position", [-1, 60])
def test_one_flipped_bit_is_seen_and_the_pack_made_again(position, own, caplog):
    first = own({})
    pixels = np.array(first.pixels)
    damage(first.path / "pixels.npy", position)
    again = own({})
    np.testing.assert_array_equal(again.pixels, pixels)
    assert "damaged on the disk, so it is made again" in warnings(caplog)[0]


def test_a_pack_is_read_through_once_in_a_process(own, monkeypatch):
    first = own({})
    own({})
    monkeypatch.setattr(pack, "_sha256", lambda pixels: pytest.fail("read again"))
    assert own({}).path == first.path


def as_before(path):
    """Turn a pack into one of the earlier form: raw pixels, and a manifest that says less."""
    npy = path / "pixels.npy"
    (path / "pixels.u8").write_bytes(npy.read_bytes()[pack_making.HEADER :])
    npy.unlink()
    manifest = json.loads((path / "manifest.json").read_text())
    del manifest["left_out"], manifest["warning"]
    (path / "manifest.json").write_text(json.dumps(manifest))


def test_packs_of_earlier_versions_are_read(own, caplog):
    first = own({})
    pixels = np.array(first.pixels)
    as_before(first.path)
    again = own({})
    assert again.path == first.path and not warnings(caplog)
    np.testing.assert_array_equal(again.pixels, pixels)
    assert (first.path / "pixels.u8").exists()
    damage(first.path / "pixels.u8")
    own({})
    assert (first.path / "pixels.npy").exists() and not (first.path / "pixels.u8").exists()


@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (3, 64, 64, 3), (10**9, 1024, 1024, 3)])
def test_the_header_is_numpys_and_always_as_long(shape, tmp_path):
    header = npy_header(shape)
    assert len(header) == pack_making.HEADER
    with (tmp_path / "a.npy").open("wb") as file:
        file.write(header)
        file.truncate(pack_making.HEADER + min(int(np.prod(shape)), 1 << 20))
    with (tmp_path / "a.npy").open("rb") as file:
        assert np.lib.format.read_magic(file) == (1, 0)
        assert np.lib.format.read_array_header_1_0(file) == (shape, False, np.dtype("uint8"))
        assert file.tell() == pack_making.HEADER


@pytest.mark.parametrize("shape", [[-1, 64, 64, 3], ["1", 64, 64, 3], [10**30]])
def test_a_shape_of_another_kind_is_made_again(shape, own):
    first = own({})
    manifest = json.loads((first.path / "manifest.json").read_text()) | {"shape": shape}
    (first.path / "manifest.json").write_text(json.dumps(manifest))
    as_before(first.path)
    assert own({}).manifest["shape"] == [1, 64, 64, 3]


# Without the archive


@pytest.fixture
def trained(here):
    """A run as training leaves it in `project`, and the pack that it was trained on."""
    project = here / "project"
    (project / "data").mkdir(parents=True)
    faces_zip(project / "data", 3)
    os.chdir(project)
    config = Config(data="data/faces.zip")
    made = open_pack(config, open_source(config))
    versions = json.dumps({"directory": str(project)}).encode()
    files = {"config.toml": to_toml(config).encode(), "versions.json": versions}
    write_files(project / "runs/faces", files)
    return Run(project / "runs/faces"), made


def opened(run, sha256, **named):
    config = find_again(run, replace(read_config(run.config), **named), named)
    return open_pack(config, open_pictures(config, sha256, "data" in named))


@pytest.mark.parametrize("gone", [False, True])
@pytest.mark.parametrize("place", [".", "/", "runs/faces"])
def test_paths_are_found_again_from_anywhere(place, gone, trained):
    run, made = trained
    sha256 = made.manifest["pixels_sha256"]
    if gone:
        os.unlink("data/faces.zip")
    os.chdir(place)
    again = opened(run, sha256)
    assert again.path.samefile(run.root / "../../data/packs" / made.path.name)
    np.testing.assert_array_equal(again.pixels, made.pixels)


def test_other_pictures_that_are_named_are_opened(trained):
    run, made = trained
    write_files(pack.Path("other"), {"a.jpg": face_jpeg(8)})
    assert len(opened(run, made.manifest["pixels_sha256"], data="other").pixels) == 1


def test_without_archive_a_damaged_pack_is_refused(trained):
    run, made = trained
    os.unlink("data/faces.zip")
    damage(made.path / "pixels.npy")
    with pytest.raises(UserError, match="faces.zip: no such file"):
        opened(run, made.manifest["pixels_sha256"])


def test_the_key_of_a_pack_is_as_it_was(here):
    """Held by value: a change would make everybody's packs anew."""
    source = open_source(Config(dataset="demo"))
    key = pack.pack_key(Config(dataset="demo"), source)
    assert set(key) == {
        *("format", "source", "crop", "size", "channels", "filter", "subset", "subset_seed")
    }
    assert digest(key)[:16] == "e0b6a3f530487972"
