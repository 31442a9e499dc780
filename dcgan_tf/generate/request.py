"""What one call of generate.py asks for, checked without NumPy and TensorFlow."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dcgan_tf.common import limits
from dcgan_tf.common.cli import number
from dcgan_tf.common.errors import UserError
from dcgan_tf.common.foreign import check_file


@dataclass(frozen=True)
class GenerationRequest:
    """What one call of generate.py asks for; checked when it is made, changed by `replace`.

    One of `latents`, `fill` and `interpolate` replaces `seeds`.

    Attributes:
        model: the generator's .keras file.
        out: the folder to write into, or None for the next free one of the run.
        seeds: of the pictures, each once.
        latents: a .npy file of latents (n, latent_dim).
        fill: constant latents, each once.
        interpolate: seeds to go through, two or more.
        truncation: factor on every latent.
        frames: of the way from one seed of `interpolate` to the next, both ends counted.
        scale: pixels that a pixel of grid, strip and GIF is enlarged to; 0 chooses.
        limit: pictures that are made at most.
        force: write into a folder that has files.

    Raises:
        UserError: the flag, what came and what was expected.
    """

    model: Path
    out: Path | None = None
    seeds: Sequence[int] = range(64)
    latents: Path | None = None
    fill: tuple[float, ...] = ()
    interpolate: tuple[int, ...] = ()
    truncation: float = 1.0
    frames: int = 25
    scale: int = 0
    limit: int = limits.GENERATED
    force: bool = False

    def __post_init__(self):
        number("--truncation", self.truncation, None, float, 0, limits.TRUNCATION)
        number("--scale", self.scale, None, int, 0, limits.SCALE)
        number("--limit", self.limit, None, int, 1, limits.GENERATED_MOST)
        number("--frames", self.frames, None, int, 2, limits.GENERATED_MOST)
        check_way(self.interpolate)
        _check_distinct("--seeds", self.seeds)
        _check_distinct("--fill", self.fill)
        self._check_count()
        if self.out is not None:
            _check_out(self.out, self.force)
        check_file(self.model, "--model", "a generator's .keras file")

    def _check_count(self):
        wanted = {
            "--seeds": 0 if self.interpolate or self.fill or self.latents else len(self.seeds),
            "--fill": len(self.fill),
            "--interpolate": (len(self.interpolate) - 1) * (self.frames - 1),
        }
        for flag, count in wanted.items():
            if count > self.limit:
                raise UserError(
                    f"{flag}: asks for {count:,} pictures, {self.limit:,} at most in one command; "
                    "--limit raises this"
                )


def check_way(seeds: Sequence[int]):
    """Refuse an interpolation that leads nowhere."""
    if len(seeds) == 1:
        raise UserError("--interpolate: got one seed, expected two or more, such as 3,17,42")


def _check_distinct(flag, values):
    """Each value names a file."""
    if not isinstance(values, range) and len(set(values)) < len(values):
        seen = set()
        again = next(value for value in values if value in seen or seen.add(value))
        raise UserError(f"{flag}: names {again} twice; its picture is the same: name each once")


def _check_out(out, force):
    if not out.exists():
        return
    if not out.is_dir():
        raise UserError(f"--out {out}: this is a file, expected a folder")
    if any(out.iterdir()) and not force:
        raise UserError(
            f"--out {out}: has files already; name another folder, or add --force "
            "to replace those of the same names"
        )
