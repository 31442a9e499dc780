"""A latent direction, how far it reaches, and latent traversals along it."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dcgan_tf.common.directions import Directions
from dcgan_tf.common.images import default_scale, enlarge, grid, save_png
from dcgan_tf.models.sampling import Sampler

SEEDS = range(6)  # the rows of an image of traversals
STEPS = 7  # its columns, from -reach to reach, with the seed's image in the middle
REACHES = (2.0, 3.0, 4.0, 5.0, 6.0)  # 99.7% of latents lie within 3 along a direction
PLAIN = 0.5  # of the difference between two random faces, which is easy to see
_MEASURED = range(1000, 1016)  # seeds


@dataclass(frozen=True)
class Direction:
    """One direction, as in common.directions.Directions, and its facts for the report."""

    name: str
    kind: str
    vector: np.ndarray
    reach: float
    facts: dict


def gather(found: list[Direction], sha256: str) -> Directions:
    """Gather the directions of the generator with this hash, as one file holds them."""
    return Directions(
        tuple(each.name for each in found),
        np.stack([each.vector for each in found]),
        tuple(each.kind for each in found),
        np.array([each.reach for each in found], np.float32),
        sha256,
    )


def hold_labels(values: np.ndarray, latents: np.ndarray, sampler: Sampler) -> np.ndarray:
    """Subtract from values (n, ...) what the labels of their latents explain, linearly.

    What is left varies as it does among images with one label. Without labels nothing changes.
    """
    tails = latents[:, sampler.normal_dim :]
    if not tails.size:
        return values
    tails = tails - tails.mean(axis=0)
    return values - tails @ np.linalg.lstsq(tails, values, rcond=None)[0]


def measure_reach(sampler: Sampler, vector: np.ndarray) -> float:
    """Find the smallest of REACHES at which a direction has a clear effect, else the last.

    The images of both ends then differ by `PLAIN` of the difference between two seeds' images with
    the same label (root mean square over the pixels).
    """
    latents, normal = sampler.latents(_MEASURED), sampler.normal_dim
    others = latents.copy()
    others[:, :normal] = np.roll(latents[:, :normal], 1, axis=0)
    own = sampler.array(np.concatenate([latents, others]))
    wanted = PLAIN * _difference(*np.split(own, 2))
    for reach in REACHES:
        low, high = (sampler.array(latents + step * vector) for step in (-reach, reach))
        if _difference(low, high) >= wanted:
            return reach
    return REACHES[-1]


def _difference(some, others):
    return np.sqrt(np.square(some.astype(np.float32) - others).mean())


def save_traversals(path: Path, sampler: Sampler, direction: Direction):
    """Write a PNG: a row for each of SEEDS, from -reach to reach in STEPS images."""
    steps = np.linspace(-direction.reach, direction.reach, STEPS)[:, None] * direction.vector
    latents = sampler.latents(SEEDS)[:, None] + steps
    canvas = grid(sampler.array(latents.reshape(-1, sampler.latent_dim)), columns=STEPS)
    text = {
        "model_sha256": sampler.sha256,
        "direction": direction.name,
        "reach": direction.reach,
        "seeds": f"{SEEDS[0]}-{SEEDS[-1]}",
    }
    save_png(path, enlarge(canvas, default_scale(canvas.shape[1])), text, sync=False)
