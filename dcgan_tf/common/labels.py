"""Labels: what a generator can be asked for, given as the tail of its latent vector.

A class is one-hot, an attribute 0 or 1. The latent vector is the usual one followed by these
numbers, so G is still a chain with one input, which other programs open as any other.
"""

import json
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from numbers import Real
from typing import Any, Self

import numpy as np

from dcgan_tf.common import limits
from dcgan_tf.common.directions import NAME_CHARACTERS
from dcgan_tf.common.errors import UserError
from dcgan_tf.common.suggestions import meant

MOST = 256  # names; each is a number of every latent and a logit of D
ENTRY = "labels.json"  # in a generator's .keras file
FILE_BYTES = 2**18  # of that entry
DRAWN = 1024  # labels of training images that a generator keeps
_SHOWN = 12  # names in a message


@dataclass(frozen=True)
class Labels:
    """The labels of a generator.

    Attributes:
        names: of the classes or the attributes.
        classes: whether an image has exactly one of them; else each is yes or no.
        drawn: labels of training images drawn at random, for seeds without a label: a class's
            number, or attributes as bits, the first name the lowest.
    """

    names: tuple[str, ...]
    classes: bool
    drawn: tuple[int, ...]

    def __post_init__(self):
        object.__setattr__(self, "names", tuple(self.names))
        object.__setattr__(self, "drawn", tuple(self.drawn))
        most, names = len(self.names) if self.classes else 1 << len(self.names), self.names
        right = isinstance(self.classes, bool) and 0 < len(names) == len(set(names)) <= MOST
        texts = all(isinstance(name, str) and name.isprintable() for name in names)
        right = right and texts and all(0 < len(name) <= NAME_CHARACTERS for name in names)
        right = right and (self.classes or not any("," in name for name in names))
        right = right and 0 < len(self.drawn) <= DRAWN
        if not right or not all(type(n) is int and 0 <= n < most for n in self.drawn):
            raise ValueError(f"not the labels of a generator: {limits.shown(names)}")

    @classmethod
    def of(cls, names: Sequence[str], classes: bool, rows: np.ndarray) -> Self:
        """Make the labels of training images whose labels are uint8 (images, names)."""
        rows = rows[np.random.RandomState(0).randint(len(rows), size=DRAWN)]
        return cls(tuple(names), classes, tuple(_number(row, classes) for row in rows))

    def tails(self, seeds: Iterable[int], label: Any = None) -> np.ndarray:
        """Make the ends of the latents of seeds, float32 (n, names).

        Args:
            label: as for `read`; what it leaves open is as in a training image, chosen by the seed.
        """
        given = self.read(label)
        tails = []
        for seed in seeds:
            number = self.drawn[int(seed) % len(self.drawn)]
            tail = {k: int(k == number if self.classes else number >> k & 1) for k in range(self.n)}
            tails.append(list((tail | given).values()))
        return np.array(tails, np.float32).reshape(-1, self.n)

    @property
    def n(self) -> int:
        return len(self.names)

    def read(self, label: Any = None) -> dict[int, int]:
        """Read a label: 7, "cat", "Smiling=1,Male=0", {"Smiling": 1}; None leaves it open.

        Returns:
            0 or 1 for the number of each name that it decides.

        Raises:
            UserError: no such class or attribute, or another value than 0 and 1.
        """
        if label is None:
            return {}
        if self.classes:
            chosen = self._place(str(label), "class")
            return {place: int(place == chosen) for place in range(self.n)}
        if isinstance(label, Mapping):
            parts = [(str(name), value) for name, value in label.items()]
        else:
            parts = [_split(part) for part in str(label).split(",")]
        given = {}
        for name, value in parts:
            bit = _bit(value)
            if bit is None:
                names = ",".join(f"{name}=1" for name in self.names[:2])
                got = f"got {limits.shown(value)} for {limits.shorten(name.strip())}"
                raise UserError(f"{got}, expected 0 or 1: {names}", param="label")
            place = self._place(name, "attribute")
            if given.setdefault(place, bit) != bit:
                raise UserError(f"{self.names[place]} is both 0 and 1", param="label")
        return given

    def _place(self, name, what):
        name = name if name in self.names else name.strip()  # a folder's name may have blanks
        # A Mac may write the same letters in another form.
        for form in ("", "NFC", "NFD"):
            typed = unicodedata.normalize(form, name) if form else name
            if typed in self.names:
                return self.names.index(typed)
        near = meant(name, self.names)
        there = ", ".join(self.names[:_SHOWN]) + ", ..." * (self.n > _SHOWN)
        hint = f"did you mean {near}?" if near else f"there are {there}"
        raise UserError(f"no {what} {limits.shown(name)}; {hint}", param="label")

    def describe(self, tail: np.ndarray) -> str:
        """Write the end of a latent as `read` reads it."""
        if self.classes:
            return self.names[int(np.argmax(tail))]
        return ",".join(f"{n}={int(v)}" for n, v in zip(self.names, tail, strict=True))

    def to_json(self) -> str:
        return json.dumps(asdict(self))


def _split(part):
    """Split NAME=VALUE; the name of an attribute may have an equals sign."""
    name, equals, value = part.rpartition("=")
    return (name, value) if equals else (part, "")


def _bit(value):
    """Read 0 or 1, in Python also True or 1.0; None for anything else."""
    if isinstance(value, (Real, np.bool_)):
        return int(value == 1) if value in (0, 1) else None
    return {"0": 0, "1": 1}.get(str(value).strip())


def _number(row, classes):
    return int(np.argmax(row)) if classes else sum(int(bit) << k for k, bit in enumerate(row))


def labels_of(network: Any) -> Labels | None:
    """Return the labels that a generator takes; None for one without."""
    return getattr(network, "labels", None)
