"""The file of directions: what is kept comes back, and what is none of it is refused."""

import zipfile
from types import SimpleNamespace

import numpy as np
import pytest
from helpers import little_memory, refused, write_zip

from dcgan_tf.common.directions import Directions, read_directions, write_directions
from dcgan_tf.common.errors import UserError

DIRECTIONS = Directions(
    ("Smiling", "kernel 1"),
    np.eye(2, 5, dtype=np.float32),
    ("attribute", "kernel"),
    np.array([3.0, 2.5], np.float32),
    "ab" * 32,
)
OWN, OTHER = (SimpleNamespace(sha256=2 * 16 * two, latent_dim=5) for two in ("ab", "cd"))


@pytest.fixture
def path(tmp_path):
    write_directions(tmp_path / "directions.npz", DIRECTIONS)
    return tmp_path / "directions.npz"


def test_what_is_kept_comes_back_for_its_own_generator(path):
    found = read_directions(path, OWN, "--directions")
    assert (found.names, found.kinds) == (DIRECTIONS.names, DIRECTIONS.kinds)
    np.testing.assert_array_equal(found.vectors, DIRECTIONS.vectors)
    np.testing.assert_array_equal(found.reach, DIRECTIONS.reach)
    assert found.vectors.dtype == np.float32
    with refused("of another generator (abababababab, this one is cd"):
        read_directions(path, OTHER, "--directions")


@pytest.mark.parametrize(
    "change",
    [
        {"vectors": np.full((2, 5), np.nan)},
        {"names": np.array(["one"])},
        {"reach": np.array(["far", "near"])},
        {"names": np.array([{"a": 1}, None])},  # which only an unpickled file could hold
        {"names": np.array(["same", "same"])},
        {"names": np.array(["one", "\x1b[31m"])},
        {"names": np.frombuffer(b"\xff" * 8, "<U1")},  # code points that there are none of
        {"kinds": np.array(["kernel", "other"])},
        {"vectors": np.eye(2, 4)},
        {"vectors": 2 * np.eye(2, 5)},
        {"reach": np.array([1.0, 0.0])},
        {"generator": np.array(3)},
    ],
)
def test_what_holds_no_directions_is_refused(path, change):
    with np.load(path) as file:
        np.savez(path, **{**file, **change})
    with pytest.raises(UserError, match="not a file of directions"):
        read_directions(path, OWN, "--directions")


def test_another_archive_is_read_or_refused_and_one_that_unpacks_to_much_stays_packed(path):
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    whole = path.read_bytes()
    write_zip(path, entries, zipfile.ZIP_DEFLATED)  # as other programs may pack it
    assert read_directions(path, OWN, "--directions").names == DIRECTIONS.names
    for content in (whole[: len(whole) // 2], b"names = 3", entries["names.npy"], b""):
        path.write_bytes(content)
        with refused("not a file of directions", "zip"):
            read_directions(path, OWN, "--directions")
    entries["vectors.npy"] = bytes(2**26 + 1)
    write_zip(path, entries, zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 1e6
    with little_memory(1e6), refused("not a file of directions", "67.1 MB, more than"):
        read_directions(path, OWN, "--directions")
