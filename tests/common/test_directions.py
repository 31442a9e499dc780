"""The file of directions: what is kept comes back, and what is none of it is refused."""

from types import SimpleNamespace

import numpy as np
import pytest

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


def test_what_is_kept_comes_back(path):
    found = read_directions(path, OWN, "--directions")
    assert (found.names, found.kinds) == (DIRECTIONS.names, DIRECTIONS.kinds)
    np.testing.assert_array_equal(found.vectors, DIRECTIONS.vectors)
    np.testing.assert_array_equal(found.reach, DIRECTIONS.reach)
    assert found.vectors.dtype == np.float32


def test_directions_of_another_generator_are_refused(path):
    with pytest.raises(
        UserError,
        match=r"of another generator \(abababababab, .*, expected of cd",
    ):
        read_directions(path, OTHER, "--directions")


@pytest.mark.parametrize(
    "change",
    [
        {"vectors": np.full((2, 5), np.nan)},
        {"vectors": np.zeros(2)},
        {"names": np.array(["one"])},
        {"reach": np.array(["far", "near"])},
        {"names": np.array([{"a": 1}, None])},  # which only an unpickled file could hold
    ],
)
def test_what_holds_no_directions_is_refused(path, change):
    with np.load(path) as file:
        np.savez(path, **{**file, **change})
    with pytest.raises(UserError, match="not a file of directions"):
        read_directions(path, OWN, "--directions")


@pytest.mark.parametrize("content", [b"PK\3\4 nothing of the sort", b"", b"names = 3", NPY])
def test_any_other_file_is_refused(path, content):
    path.write_bytes(content)
    with pytest.raises(UserError, match="not a file of directions"):
        read_directions(path, OWN, "--directions")
