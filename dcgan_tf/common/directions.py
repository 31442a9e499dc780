"""Named directions in the latent space of one generator, and the file that keeps them.

`directions.npz` holds `names` (n,) of str, `vectors` (n, latent_dim) of float32, each of length 1,
`kinds` (n,) of str, `reach` (n,) of float32, and `generator`, the SHA-256 of the weights they are
of: to go along a direction is to add up to `reach` times its vector, forth or back, to a latent.
"""

from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

from dcgan_tf.common.atomic_write import replacing
from dcgan_tf.common.errors import UserError
from dcgan_tf.common.files import check_file

NAME = "directions.npz"
KINDS = ("kernel", "component", "attribute")  # of the first kernel, of its maps, of labels


@dataclass(frozen=True)
class Directions:
    """Directions of one generator.

    Attributes:
        names: each once, such as `Smiling` or `kernel 1`.
        vectors: float32 (n, latent_dim), each of length 1.
        kinds: one of `KINDS` for each.
        reach: float32 (n,), how far along a direction its effect is plain, as a length in the
            latent space.
        generator: SHA-256 of the generator's weights (models.sampling.weights_sha256).
    """

    names: tuple[str, ...]
    vectors: "numpy.ndarray"  # noqa: F821 (the module starts without NumPy)
    kinds: tuple[str, ...]
    reach: "numpy.ndarray"  # noqa: F821
    generator: str


def write_directions(path: Path, directions: Directions):
    """Keep directions in a file, whole or not at all."""
    import numpy as np

    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez(
            file,
            names=np.array(directions.names),
            vectors=np.asarray(directions.vectors, np.float32),
            kinds=np.array(directions.kinds),
            reach=np.asarray(directions.reach, np.float32),
            generator=np.array(directions.generator),
        )


def read_directions(path: Path, generator: str, flag: str) -> Directions:
    """The directions of a file, made for this generator.

    Args:
        path: of the file; generator: the SHA-256 of the weights they are wanted for; flag: what
            named the file, for the message.

    Raises:
        UserError: no such file, another kind of file, directions of another generator.
    """
    import numpy as np

    check_file(path, flag, "a file of directions")
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            if not hasattr(file, "files"):  # one array, no archive of them
                raise ValueError("one array")
            found = Directions(
                tuple(map(str, file["names"])),
                np.asarray(file["vectors"], np.float32),
                tuple(map(str, file["kinds"])),
                np.asarray(file["reach"], np.float32),
                str(file["generator"]),
            )
        _check(found)
    except (OSError, EOFError, ValueError, LookupError, TypeError, BadZipFile) as error:
        raise UserError(
            f"{flag} {path}: not a file of directions (python -m dcgan_tf.directions writes them)"
        ) from error
    if found.generator != generator:
        raise UserError(
            f"{flag} {path}: directions of another generator ({found.generator[:12]}), expected of "
            f"{generator[:12]}; make them anew: python -m dcgan_tf.directions, with the "
            "--run, --model or --pretrained that names this generator"
        )
    return found


def _check(found):
    import numpy as np

    if found.vectors.ndim != 2 or not np.isfinite(found.vectors).all():
        raise ValueError("vectors")
    if found.reach.ndim != 1 or not np.isfinite(found.reach).all():
        raise ValueError("reach")
    if not len(found.names) == len(found.vectors) == len(found.kinds) == len(found.reach):
        raise ValueError("counts")
