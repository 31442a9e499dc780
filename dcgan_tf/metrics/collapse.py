"""Detect collapse, noise and a saturated D in metrics.jsonl, the history of a training."""

from typing import Any

import numpy as np

from dcgan_tf.common.config import Config

REAL_IMAGES = 256  # whose spread is the unit
# Diversity: healthy runs of the recipes stay above 0.7 once they vary; collapsed ones and those
# that never began lie below 0.2.
COLLAPSED, VARIED = 0.3, 0.5
# Roughness: noise with grains of 1 to 6 pixels has 28 to 5, a trained generator 1.2.
NOISY, SMOOTH = 4.0, 2.0
STARTING_STEPS = 1000  # until then a generator may still be learning to vary
SATURATED, SATURATED_EPOCHS = 0.9, 3


def spread(images: np.ndarray) -> float:
    """Mean over all pairs of images of the root mean square difference of their pixels.

    `images` are uint8 (n, height, width, channels), n at least 2. All sums are of whole numbers, so
    the result is the same on every machine.
    """
    rows = images.reshape(len(images), -1).astype(np.float64)
    norms = np.sum(rows**2, axis=1)
    squared = norms[:, None] + norms - 2 * rows @ rows.T
    upper = np.triu_indices(len(rows), 1)
    return float(np.sqrt(squared[upper] / rows.shape[1]).mean())


def roughness(images: np.ndarray) -> float:
    """Mean square of the steps between neighboring pixels, relative to an image's variance.

    It is 2 for white noise, 0.1 for faces, and the same on every machine. `images` are uint8.
    """
    values = images.astype(np.int32)
    steps = sum(np.square(np.diff(values, axis=axis)).mean() for axis in (1, 2)) / 2
    count = values.shape[1] * values.shape[2]
    squares, sums = (powers.sum((1, 2), np.int64) for powers in (np.square(values), values))
    variance = np.mean(count * squares - sums**2) / count**2
    return float(steps / max(variance, 1.0))


class Diversity:
    """Compares the images of fixed latents with real ones, uint8, by their pixels alone.

    `diversity` is 1 for images as varied as the data, 0 for equal images. Noise is as varied as the
    data, too: it has a `roughness` far above 1.
    """

    def __init__(self, pixels: np.ndarray):
        rows = np.unique(np.linspace(0, len(pixels) - 1, REAL_IMAGES).astype(int))
        reals = np.asarray(pixels[rows])
        self._spread = max(spread(reals), 1.0) if len(rows) > 1 else 1.0
        self._roughness = max(roughness(reals), 0.001)

    def measure(self, images: np.ndarray) -> dict[str, float]:
        """Return `diversity` and `roughness` of at least 2 images, shaped as the real ones."""
        return {
            "diversity": round(spread(images) / self._spread, 6),
            "roughness": round(roughness(images) / self._roughness, 6),
        }


def certainty_of(config: Config) -> float:
    """Return the distance between D's targets for real and fake images."""
    return max(1 - config.label_smoothing - config.label_noise, 0.1)


def troubles(history: list[dict[str, Any]], certainty: float = 1.0) -> dict[str, int]:
    """Find the first epoch of each kind of trouble: {"collapse", "noise" or "saturated D": epoch}.

    Collapse: the samples' diversity is below 0.3 after it had been 0.5 or more, or still is after
    1,000 steps. Noise: their roughness is above 4 after it had been below 2, or still is after
    1,000 steps. Saturation: for three epochs in a row D(real) - D(fake) is above 0.9 of the
    `certainty` of its targets.

    `history` are the records of metrics.jsonl; in older runs they have no `roughness` or
    `diversity`.
    """
    epochs, highest, smoothest, saturated = {}, 0.0, np.inf, 0
    for record in history:
        diversity, rough = record.get("diversity"), record.get("roughness")
        begun = record["step"] >= STARTING_STEPS
        if diversity is not None:
            if diversity < COLLAPSED and (begun or highest >= VARIED):
                epochs.setdefault("collapse", record["epoch"])
            highest = max(highest, diversity)
        if rough is not None:
            if rough > NOISY and (begun or smoothest < SMOOTH):
                epochs.setdefault("noise", record["epoch"])
            smoothest = min(smoothest, rough)
        apart = record["d_real"] - record["d_fake"] > SATURATED * certainty
        saturated = saturated + 1 if apart else 0
        if saturated == SATURATED_EPOCHS:
            epochs.setdefault("saturated D", record["epoch"])
    return epochs


_ADVICE = (
    "look at samples/, go back to an earlier checkpoint or start a run with another --seed or "
    "smaller learning rates"
)
_WARNINGS = {
    "collapse": "collapse at epoch {epoch}: the samples' pixel variation is {diversity:.2f} of the "
    f"real images'; {_ADVICE}",
    "noise": "noise at epoch {epoch}: neighboring pixels of the samples differ {roughness:.0f} "
    f"times as much as the real images'; {_ADVICE}",
    "saturated D": "D is saturated at epoch {epoch}: D(real) {d_real:.2f}, D(fake) {d_fake:.2f}, "
    "G learns little; try a smaller --d-learning-rate or --label-smoothing 0.1",
}


def warning(kind: str, history: list[dict[str, Any]], epoch: int) -> str:
    """Say in one line what happened at an epoch of the history, and what to do."""
    record = next(record for record in history if record["epoch"] == epoch)
    return _WARNINGS[kind].format_map(record)
