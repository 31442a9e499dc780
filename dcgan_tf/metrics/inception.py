"""Load the Inception network of 2015-12-05 and compute its features."""

import functools
import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import numpy as np
import tensorflow as tf

from dcgan_tf.common.download import CACHE, fetch
from dcgan_tf.common.errors import UserError
from dcgan_tf.metrics.inception_network import network, preprocess, weight_shapes
from dcgan_tf.metrics.inception_weights import read_weights

ARCHIVE_URL = "https://download.tensorflow.org/models/image/imagenet/inception-2015-12-05.tgz"
ARCHIVE_BYTES = 88_931_400
ARCHIVE_NAME = "inception-2015-12-05.tgz"
DIMENSIONS = {"mixed_7": 768, "pool_3": 2048, "logits": 1008}
CHUNK = 32  # images per call of the network: features must not depend on the caller's batches
GOLDEN_FILE = Path(__file__).with_name("inception_golden.json")
GOLDEN_TOLERANCE = 1e-3


def load_inception(path: str | os.PathLike[str] | None = None) -> "Inception":
    """Load the network from a file, or from TensorFlow's own archive, downloaded once.

    Args:
        path: inception-2015-12-05.tgz or an .npz of its folded weights; None for the download.

    Raises:
        UserError: the file is missing or damaged, the download fails, or the weights are others.
    """
    archive = CACHE / ARCHIVE_NAME
    if path is None:
        otherwise = f"get {ARCHIVE_NAME} elsewhere and give it with --inception PATH"
        # `check_golden` checks the weights, so no checksum is needed.
        archive = fetch(
            ARCHIVE_URL, archive, None, "the Inception weights", ARCHIVE_BYTES, otherwise
        )
    try:
        weights = read_weights(path or archive)
        check_golden(weights, path or archive)
    except UserError as error:
        again = f", or delete {archive} to download it again" if path is None else ""
        raise UserError(f"{error}{again}") from None
    return Inception(weights)


def check_golden(weights: dict[str, np.ndarray], source: str | os.PathLike[str]) -> None:
    """Raise UserError unless `mixed_7` of the test image is what the true weights give."""
    golden = np.array(json.loads(GOLDEN_FILE.read_text())["mixed_7"])
    # On the CPU: the TF32 convolutions of a GPU may be off by as much as the tolerance.
    with tf.device("CPU:0"):
        image = preprocess(golden_image()[None])
        features = network(lambda name, _: weights[name], image, ("mixed_7",))["mixed_7"]
    error = float(np.abs(features.numpy()[0] - golden).max())
    if not error <= GOLDEN_TOLERANCE:
        raise UserError(
            f"{source}: these are not the weights of inception-2015-12-05: mixed_7 of the test "
            f"image is off by {error:.3g}, expected at most {GOLDEN_TOLERANCE:g}; "
            "give the right file with --inception PATH"
        )


def check_layer(layer: str, reached: Sequence[str]) -> None:
    """Raise UserError unless the weights reach a layer."""
    if layer not in reached:
        raise UserError(
            f"these Inception weights reach only {', '.join(reached)}; use --features mixed_7 or "
            f"give {ARCHIVE_NAME} with --inception PATH",
            flag=f"--features {layer}",
        )


def golden_image() -> np.ndarray:
    """The test image, uint8 [64, 64, 3], from integer arithmetic: the same on every machine."""
    y, x = np.mgrid[:64, :64]
    checks = ((x // 8 + y // 8) % 2) * 96
    rings = ((x - 20) ** 2 + (y - 40) ** 2) // 5 % 160
    channels = x * 3 + checks // 2, rings + y, (x * y) // 16 % 128 + checks
    return np.stack(channels, -1).astype(np.uint8)


class Inception:
    """Features of images, chunk by chunk, from the weights that `read_weights` returns.

    `layers` are the names in DIMENSIONS that the weights reach.
    """

    def __init__(self, weights: dict[str, np.ndarray]):
        self.weights = weights
        self.layers = tuple(
            each for each in DIMENSIONS if weights.keys() >= weight_shapes(each).keys()
        )
        self._compiled = functools.cache(self._compile)

    def weights_hash(self, layer: str) -> str:
        """SHA-256 (hex) of the weights that `layer` depends on, by name and float32 bytes."""
        digest = hashlib.sha256()
        for name in sorted(weight_shapes(layer)):
            digest.update(name.encode())
            digest.update(np.ascontiguousarray(self.weights[name]).data)
        return digest.hexdigest()

    def features(
        self, batches: Iterable[np.ndarray], layers: Sequence[str] = ("pool_3",)
    ) -> Iterator[dict[str, np.ndarray]]:
        """Compute features of a stream of images, ahead of the caller in another thread.

        Args:
            batches: uint8 [any, height, width, 1 or 3], all of one height and width.
            layers: "mixed_7" [n, 768] (spatial mean), "pool_3" [n, 2048] or "logits" [n, 1008],
                those of the softmax without its bias.

        Returns:
            An iterator over {layer: float32 [n, dimensions]} with n <= CHUNK, in the images' order;
            the values do not depend on how the images were batched.
        """
        for layer in layers:
            check_layer(layer, self.layers)
        compute = self._compiled(tuple(layers))

        def run():
            for images, count in _ahead(_chunks(batches)):
                outputs = compute(images)
                yield {layer: outputs[layer].numpy()[:count] for layer in layers}

        return _ahead(run())

    def _compile(self, layers: tuple[str, ...]):
        # One signature for all image sizes, so that it is traced once.
        signature = tf.TensorSpec([CHUNK, None, None, 3], tf.uint8)
        return tf.function(
            lambda images: network(lambda n, _: self.weights[n], preprocess(images), layers),
            input_signature=[signature],
            autograph=False,
        )


def _ahead(iterable: Iterable[Any]):
    """Iterate over `iterable` in another thread, one item ahead of the caller."""
    iterator, end = iter(iterable), cast(Any, object())
    with ThreadPoolExecutor(1) as thread:
        following = thread.submit(next, iterator, end)
        while (item := following.result()) is not end:
            following = thread.submit(next, iterator, end)
            yield item


def _chunks(batches: Iterable[np.ndarray]):
    """Cut uint8 batches into ([CHUNK, height, width, 3], count); the last one is padded."""
    parts, count = [], 0
    for batch in batches:
        batch = np.asarray(batch)
        if batch.dtype != np.uint8 or batch.ndim != 4 or batch.shape[-1] not in (1, 3):
            raise ValueError(
                f"images are {batch.dtype} {list(batch.shape)}, "
                "expected uint8 [n, height, width, 1 or 3]"
            )
        while len(batch):
            part, batch = batch[: CHUNK - count], batch[CHUNK - count :]
            parts.append(np.repeat(part, 3, axis=-1) if part.shape[-1] == 1 else part)
            count += len(part)
            if count == CHUNK:
                yield np.concatenate(parts), count
                parts, count = [], 0
    if count:
        padding = np.zeros((CHUNK - count, *parts[0].shape[1:]), np.uint8)
        yield np.concatenate([*parts, padding]), count
