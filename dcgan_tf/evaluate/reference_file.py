"""Reference statistics as files: mean `mu` and covariance `sigma` in an .npz.

The form is that of pytorch-fid and of TTUR (Heusel et al. 2017).
"""

from pathlib import Path

import numpy as np

from dcgan_tf.common.atomic_write import replacing
from dcgan_tf.common.errors import UserError
from dcgan_tf.common.files import make_directory
from dcgan_tf.common.foreign import BadFile, read_npz
from dcgan_tf.common.scores import FRECHET_NAMES
from dcgan_tf.metrics.frechet import FeatureStatistics
from dcgan_tf.metrics.inception import DIMENSIONS


def save_reference(path: str, statistics: FeatureStatistics):
    """Write the statistics of a reference set, whole or not at all."""
    make_directory(Path(path).parent, "--save-reference")
    with replacing(Path(path)) as temporary, temporary.open("wb") as file:
        np.savez(file, mu=statistics.mean, sigma=statistics.covariance)


def read_reference(path: str, count: int) -> tuple[FeatureStatistics, str]:
    """Read statistics and name their layer; the file has no count, so `count` is assumed."""
    layers = {DIMENSIONS[name]: name for name in FRECHET_NAMES}
    try:
        mu, sigma = (part.astype(float) for part in read_npz(Path(path), ("mu", "sigma")).values())
        size = mu.size
        if size not in layers or mu.shape != (size,) or sigma.shape != (size, size):
            raise BadFile(f"got mu of shape {mu.shape} and sigma of shape {sigma.shape}")
        variances, axes = np.linalg.eigh(sigma)
        if not np.isfinite([*mu, *variances]).all():
            raise BadFile("it has numbers that are not finite")
    except (ValueError, np.linalg.LinAlgError) as bad:
        why = f"{bad}; " if isinstance(bad, BadFile) else ""
        words = (
            f"{why}expected an .npz with mu and sigma of 2,048 (pool_3) or 768 (mixed_7) features"
        )
        raise UserError(words, flag=f"--reference {path}") from None
    factor = np.sqrt(np.maximum(variances, 0) * (count - 1))[:, None] * axes.T
    return FeatureStatistics.restore(count, mu, factor), layers[size]
