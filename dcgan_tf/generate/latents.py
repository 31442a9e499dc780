"""Latents in chunks: from seeds, from a file, or constant.

Each kind has a `count`, `rows(start, stop)` as float32 (stop - start, length), a distinct `name`
for the picture of each row, the `text` that its PNG carries, and a `title` of them all.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from dcgan_tf.common.errors import UserError, one_line
from dcgan_tf.common.foreign import check_file
from dcgan_tf.models.sampling import finite, seed_latents

BLOCK = 4096  # rows of a file that are looked at together


class SeedLatents:
    """Standard normal latents, one a seed."""

    def __init__(self, seeds: Sequence[int], length: int, truncation: float = 1.0):
        self._seeds, self._length, self._truncation = seeds, length, truncation
        self.count = len(seeds)
        self.title = numbers(seeds)

    def rows(self, start: int, stop: int) -> np.ndarray:
        return self._truncation * seed_latents(self._seeds[start:stop], self._length)

    def name(self, row: int) -> str:
        return f"seed_{self._seeds[row]:06d}"

    def text(self, row: int) -> dict:
        return {"seed": self._seeds[row]}


class ConstantLatents:
    """Latents of one number each."""

    def __init__(self, values: Sequence[float], length: int, truncation: float = 1.0):
        self._values, self._length, self._truncation = values, length, truncation
        self.count = len(values)
        self.title = f"the constant latents {', '.join(map(plain, values[:8]))}"
        _finite(f"--fill {plain(max(values, key=abs))}", values, truncation)

    def rows(self, start: int, stop: int) -> np.ndarray:
        rows = [np.full(self._length, value) for value in self._values[start:stop]]
        return self._truncation * np.array(rows, np.float32)

    def name(self, row: int) -> str:
        return f"fill_{plain(self._values[row])}"

    def text(self, row: int) -> dict:
        return {"fill": self._values[row]}


class FileLatents:
    """The rows of a .npy file, mapped rather than loaded.

    Raises:
        UserError: no such file, not a whole one, of another shape, or numbers that are no latents.
    """

    def __init__(self, path: Path, length: int, limit: int, truncation: float = 1.0):
        self._where, self._truncation = f"--latents {path}", truncation
        self._array = _open(path)
        shape = self._array.shape
        if len(shape) != 2 or shape[1] != length or not shape[0]:
            raise UserError(
                f"got shape {shape}, expected (n, {length}) for this model", flag=self._where
            )
        if shape[0] > limit:
            raise UserError(
                f"has {shape[0]:,} latents, at most {limit:,} at once; --limit raises this",
                flag=self._where,
            )
        self.count = shape[0]
        self.title = f"the {self.count:,} latents of {path}"
        for start in range(0, self.count, BLOCK):  # all of them, before the first picture
            self.rows(start, start + BLOCK)

    def rows(self, start: int, stop: int) -> np.ndarray:
        return _finite(self._where, self._array[start:stop], self._truncation)

    def name(self, row: int) -> str:
        return f"latent_{row:06d}"

    def text(self, row: int) -> dict:
        return {"latent": row}


def _open(path):
    """The array of a .npy file; a header that claims more than the file has is an error here."""
    check_file(path, "--latents", "a .npy file")
    try:
        with np.errstate(all="raise"):  # a size that overflows
            return np.lib.format.open_memmap(path, mode="r")
    except Exception as error:  # a header can be wrong in many ways, each with an error of its own
        message = f"not a whole .npy file of numbers ({one_line(error)})"
        raise UserError(message, flag=f"--latents {path}") from None


def _finite(where, values, truncation):
    """float32: the values times `truncation`."""
    try:
        with np.errstate(over="ignore"):
            return finite(truncation * finite(values))
    except ValueError as error:
        raise UserError(str(error), flag=where) from None


def plain(value: float) -> str:
    """A number as its shortest text that is still that number and no other: 0, 0.5, 1e-07."""
    return repr(float(value)).removesuffix(".0")


def numbers(seeds: Sequence[int]) -> str:
    """Seeds in words: "seed 7", "seeds 0 to 63", or "seeds 39, 5, 6, ..."."""
    if len(seeds) == 1:
        return f"seed {seeds[0]}"
    if seeds[-1] - seeds[0] == len(seeds) - 1 and list(seeds) == sorted(seeds):
        return f"seeds {seeds[0]} to {seeds[-1]}"
    return "seeds " + ", ".join(map(str, seeds[:8])) + (", ..." if len(seeds) > 8 else "")
