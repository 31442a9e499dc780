"""The file of directions: what is kept comes back, and what is none of it is refused."""

import warnings
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

NPY = (
    b"\x93NUMPY\x01\x00F\x00{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }".ljust(79)
    + b"\n1234"
)


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
    with refused("of another generator (abababababab), expected of cd"):
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


def test_what_is_no_such_archive_is_refused(path):
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    whole = path.read_bytes()
    write_zip(path, entries, zipfile.ZIP_DEFLATED)  # as other programs may pack it
    assert read_directions(path, OWN, "--directions").names == DIRECTIONS.names
    for content in (whole[: len(whole) // 2], b"names = 3", NPY, b""):
        path.write_bytes(content)
        with refused("not a file of directions", "zip"):
            read_directions(path, OWN, "--directions")


@pytest.mark.slow
def test_a_small_archive_that_unpacks_to_gigabytes_is_refused_unread(path):
    header = NPY[:10] + NPY[10:-5].replace(b"(1,)", b"(268435456,)").replace(b" " * 8, b"", 1)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a name that comes twice
        with archive.open("vectors.npy", "w", force_zip64=True) as file:
            file.write(header)
            for _ in range(64):
                file.write(bytes(2**24))
    assert path.stat().st_size < 4e6
    with little_memory(1e8), refused("not a file of directions", "1.1 GB"):
        read_directions(path, OWN, "--directions")
