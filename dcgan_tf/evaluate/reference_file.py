"""Reference statistics as files: mean `mu` and covariance `sigma` in an .npz, as in pytorch-fid."""

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
    try:
        mu, sigma = (part.astype(float) for part in read_npz(Path(path), ("mu", "sigma")).values())
        layer = {DIMENSIONS[name]: name for name in FRECHET_NAMES}[mu.size]
        variances, axes = np.linalg.eigh(sigma.reshape(mu.size, mu.size))
        if not np.isfinite([*mu, *variances]).all():
            raise BadFile("it has numbers that are not finite")
    except (BadFile, KeyError, ValueError, np.linalg.LinAlgError) as bad:
        why = f"{bad}; " if isinstance(bad, BadFile) else ""
        words = (
            f"{why}expected an .npz with mu and sigma of 2,048 (pool_3) or 768 (mixed_7) features"
        )
        raise UserError(words, flag=f"--reference {path}") from None
    factor = np.sqrt(np.maximum(variances, 0) * (count - 1))[:, None] * axes.T
    return FeatureStatistics.restore(count, mu, factor), layer
