"""Latent traversals: how far a direction reaches, and rows of faces along it."""

from pathlib import Path

import numpy as np

from dcgan_tf.common.images import default_scale, enlarge, grid, save_png
from dcgan_tf.models.sampling import Sampler, seed_latents

SEEDS = range(6)  # the rows of a picture
STEPS = 7  # its columns, from -reach to reach, the seed itself in the middle
REACHES = (2.0, 3.0, 4.0, 5.0, 6.0)  # along one direction a latent lies within 3 but for 0.3%
PLAIN = 0.5  # of the difference between two faces of chance: that is seen at a glance
_MEASURED = range(1000, 1016)  # seeds


def reach_of(sampler: Sampler, vector: np.ndarray) -> float:
    """How far along a direction its effect is plain, one of REACHES.

    That is where the pictures from one end to the other differ by `PLAIN` of what those of two
    seeds differ by (root of the mean square over the pixels), or else the last of them.

    Args:
        vector: float (latent_dim,), of length 1.
    """
    latents = seed_latents(_MEASURED, sampler.latent_dim)
    own = sampler.array(latents)
    wanted = PLAIN * _difference(own, np.roll(own, 1, axis=0))
    for reach in REACHES:
        ends = (sampler.array(latents + step * vector) for step in (-reach, reach))
        if _difference(*ends) >= wanted:
            return reach
    return REACHES[-1]


def _difference(some, others):
    return np.sqrt(np.square(some.astype(np.float32) - others).mean())


def save_strip(path: Path, sampler: Sampler, vector: np.ndarray, reach: float, text: dict):
    """Write a PNG: a row for each of SEEDS, from -reach to reach in STEPS pictures.

    Args:
        path: the file; text: of the PNG's text keys.
    """
    steps = np.linspace(-reach, reach, STEPS)[:, None] * vector
    latents = seed_latents(SEEDS, sampler.latent_dim)[:, None] + steps
    pictures = sampler.array(latents.reshape(-1, sampler.latent_dim))
    canvas = grid(pictures, columns=STEPS)
    canvas = enlarge(canvas, default_scale(canvas.shape[1]))
    save_png(path, canvas, text | {"reach": reach, "seeds": f"{SEEDS[0]}-{SEEDS[-1]}"}, sync=False)
