"""Named directions in the latent space of one generator, and their file.

`directions.npz` holds `names` (n,) of str, `vectors` (n, latent_dim) of float32, each of length 1,
`kinds` (n,) of str, `reach` (n,) of float32, and `generator`, the SHA-256 of its weights. To move
along a direction, add between -reach and reach times its vector to a latent.
"""

from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

from dcgan_tf.common.atomic_write import replacing
from dcgan_tf.common.errors import UserError
from dcgan_tf.common.foreign import BadFile, read_npz
from dcgan_tf.common.suggestions import typed

if TYPE_CHECKING:
    import numpy as np

NAME = "directions.npz"
KINDS = ("kernel", "component", "attribute")  # by SeFa, by GANSpace, from labels
NAME_CHARACTERS = 80  # most in the name of a direction or an attribute


@dataclass(frozen=True)
class Directions:
    """Directions of one generator."""

    names: tuple[str, ...]  # unique, such as `Smiling` or `kernel 1`
    vectors: "np.ndarray"  # float32 (n, latent_dim), each of length 1
    kinds: tuple[str, ...]  # one of `KINDS` for each
    reach: "np.ndarray"  # float32 (n,), distance in the latent space with a clear effect
    generator: str  # SHA-256 of the generator's weights (models.sampling.weights_sha256)


def write_directions(path: Path, directions: Directions):
    """Write directions to a file, whole or not at all."""
    import numpy as np  # --help starts without it

    floats = {name: np.float32(getattr(directions, name)) for name in ("vectors", "reach")}
    arrays: dict = asdict(directions) | floats
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez(file, **arrays)


def read_directions(path: Path, sampler, flag: str) -> Directions:
    """Read directions that were found for the generator of a models.sampling.Sampler."""
    where = f"{flag} {path}".strip()
    try:
        arrays = read_npz(path, [field.name for field in fields(Directions)])
        (generator,) = _texts(arrays["generator"].reshape(1))
        if generator == sampler.sha256:
            return _parse(arrays, generator, sampler.latent_dim)
    except (ValueError, SystemError) as bad:  # NumPy's for invalid Unicode
        raise UserError(
            f"not a file of directions ({bad}); {typed('directions')} writes one",
            flag=where,
        ) from None
    raise UserError(
        f"directions of another generator ({generator[:12]}, this one is {sampler.sha256[:12]}); "
        f"find them again: {typed('directions')} RUN, with this generator's run or file",
        flag=where,
    )


def _parse(arrays, generator, latent_dim):
    import numpy as np

    names, kinds = _texts(arrays["names"]), _texts(arrays["kinds"])
    vectors, reach = arrays["vectors"], arrays["reach"]
    shapes, expected = (vectors.shape, reach.shape), ((len(names), latent_dim), (len(names),))
    if shapes != expected or {vectors.dtype.kind, reach.dtype.kind} != {"f"}:
        raise BadFile(f"got vectors and reach {shapes}, expected floats {expected}")
    if len(set(names)) < len(names) or len(kinds) != len(names) or not set(kinds) <= set(KINDS):
        raise BadFile(f"a name occurs twice, or a kind is not one of {', '.join(KINDS)}")
    lengths = np.linalg.norm(vectors.astype(float), axis=1)
    if not (abs(lengths - 1) < 1e-3).all() or not ((reach > 0) & (reach < 1e6)).all():
        raise BadFile("a vector is not of length 1, or a reach is not positive")
    return Directions(names, vectors.astype(np.float32), kinds, reach.astype(np.float32), generator)


def _texts(array):
    texts = tuple(map(str, array)) if array.dtype.kind == "U" and array.ndim == 1 else ("",)
    if not all(text.isprintable() and 0 < len(text) <= NAME_CHARACTERS for text in texts):
        raise BadFile(f"got {array.dtype} {list(array.shape)}, expected short printable texts")
    return texts
