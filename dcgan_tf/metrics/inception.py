"""The Inception network of 2015-12-05 and its features.

Plain TensorFlow functions over a dict of constants (see inception_weights). Keras' and
torchvision's Inception are other networks, and numbers made with them are not FID.
"""

import functools
import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import tensorflow as tf

from dcgan_tf.common.download import CACHE, fetch
from dcgan_tf.common.errors import UserError
from dcgan_tf.metrics.inception_weights import SOFTMAX, read_weights, weight_shapes

ARCHIVE_URL = "https://download.tensorflow.org/models/image/imagenet/inception-2015-12-05.tgz"
ARCHIVE_BYTES = 88_931_400
ARCHIVE_NAME = "inception-2015-12-05.tgz"
DIMENSIONS = {"mixed_7": 768, "pool_3": 2048, "logits": 1008}
INPUT_SIZE = 299
# Images per call of the network. Fixed, so that features do not depend on the caller's batches;
# 8 to 32 run at the same speed on a CPU, a GPU likes more.
CHUNK = 32
GOLDEN_FILE = Path(__file__).with_name("inception_golden.json")
GOLDEN_TOLERANCE = 1e-3


def load_inception(path: str | os.PathLike | None = None) -> "Inception":
    """Load the feature network from a file, or from TensorFlow's own archive, downloaded once.

    Args:
        path: inception-2015-12-05.tgz or an .npz of its folded weights; None for the download.

    Raises:
        UserError: the file is missing or damaged, the download fails, or the weights are not those
            of 2015-12-05, as `mixed_7` features tell.
    """
    if path is not None:
        return _load(path)
    otherwise = f"get {ARCHIVE_NAME} elsewhere and give it with --inception PATH"
    # Only its size is checked here: `check_golden` checks what the weights compute.
    what, place = "the Inception weights", CACHE / ARCHIVE_NAME
    archive = fetch(ARCHIVE_URL, place, None, what, ARCHIVE_BYTES, otherwise)
    try:
        return _load(archive)
    except UserError as error:
        raise UserError(f"{error}, or delete {archive} to download it again") from None


def _load(path):
    weights = read_weights(path)
    check_golden(weights, path)
    return Inception(weights)


def check_golden(weights: dict[str, np.ndarray], source: str | os.PathLike) -> None:
    """Raise UserError unless `mixed_7` of the test image is what the true weights give."""
    golden = np.array(json.loads(GOLDEN_FILE.read_text())["mixed_7"])
    # On the CPU: a GPU's TF32 convolutions alone can be off by as much as the tolerance.
    with tf.device("CPU:0"):
        features = network(weights, preprocess(golden_image()[None]), ("mixed_7",))["mixed_7"]
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
    """The fixed test image, uint8 [64, 64, 3]: integer arithmetic, the same on every machine."""
    y, x = np.mgrid[:64, :64]
    checks = ((x // 8 + y // 8) % 2) * 96
    rings = ((x - 20) ** 2 + (y - 40) ** 2) // 5 % 160
    return np.stack([x * 3 + checks // 2, rings + y, (x * y) // 16 % 128 + checks], -1).astype(
        np.uint8
    )


class Inception:
    """Features of images, chunk by chunk.

    Attributes:
        weights: as `read_weights` returns them.
        layers: the names in DIMENSIONS that the weights reach.
    """

    def __init__(self, weights: dict[str, np.ndarray]):
        self.weights = weights
        self.layers = tuple(
            layer for layer in DIMENSIONS if all(name in weights for name in weight_shapes(layer))
        )
        self._compiled = {}

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
            batches: uint8 [any, height, width, 1 or 3] with values 0 to 255, all of one height and
                width. Consumed in another thread, also ahead of its need.
            layers: what to compute. "mixed_7" [n, 768] (spatial mean) and "pool_3" [n, 2048] are
                features; "logits" [n, 1008] are those of the softmax without its bias.

        Returns:
            An iterator over {layer: float32 [n, dimensions]} with n <= CHUNK, in the images' order;
            the values do not depend on how the images were batched.

        Raises:
            UserError: the weights do not reach a layer.
            ValueError: images of another shape or dtype.
        """
        for layer in layers:
            check_layer(layer, self.layers)
        compute = self._compiled.get(layers := tuple(layers))
        if compute is None:
            compute = self._compiled[layers] = self._compile(layers)

        def run():
            for images, count in _ahead(_chunks(batches)):
                outputs = compute(images)
                yield {layer: outputs[layer].numpy()[:count] for layer in layers}

        return _ahead(run())

    def _compile(self, layers):
        # As a graph TensorFlow fuses bias and ReLU into each convolution: 15% faster than eager.
        # One signature for all image sizes, so it is traced once.
        signature = tf.TensorSpec([CHUNK, None, None, 3], tf.uint8)
        return tf.function(
            lambda images: network(self.weights, preprocess(images), layers),
            input_signature=[signature],
            autograph=False,
        )


def _ahead(iterable):
    """Iterate over `iterable` in another thread, one item ahead of the caller."""
    iterator, end = iter(iterable), cast(Any, object())
    with ThreadPoolExecutor(1) as thread:
        following = thread.submit(next, iterator, end)
        while (item := following.result()) is not end:
            following = thread.submit(next, iterator, end)
            yield item


def _chunks(batches):
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


def preprocess(images: np.ndarray | tf.Tensor) -> tf.Tensor:
    """Convert uint8 [n, height, width, 3] to float32 [n, 299, 299, 3], in [-1, 1).

    As the reference graph does it: TensorFlow 1's bilinear resize of 0..255 (no half-pixel
    centers, no antialiasing), then (x - 128) / 128.
    """
    resized = tf.raw_ops.ResizeBilinear(
        images=tf.cast(images, tf.float32), size=[INPUT_SIZE, INPUT_SIZE]
    )
    return (resized - 128.0) * (1 / 128)


def network(
    weights: dict[str, np.ndarray], x: tf.Tensor, layers: Sequence[str]
) -> dict[str, tf.Tensor]:
    """Compute {layer: float32 [n, DIMENSIONS[layer]]} for x float32 [n, 299, 299, 3].

    Only as deep as `layers` needs. Names are those of the reference graph's nodes.
    """
    convs = functools.partial(_convs, weights)
    x = _to_mixed_7(convs, x)
    outputs = {"mixed_7": tf.reduce_mean(x, [1, 2])}
    if set(layers) == {"mixed_7"}:
        return outputs
    outputs["pool_3"] = tf.reduce_mean(_to_mixed_10(convs, x), [1, 2])
    if "logits" in layers:
        outputs["logits"] = tf.linalg.matmul(outputs["pool_3"], weights[SOFTMAX])
    return outputs


def _convs(weights, x, *names, stride=1, padding: Literal["SAME", "VALID"] = "SAME"):
    """Convolutions with ReLU, one after the other."""
    for name in names:
        x = tf.nn.conv2d(x, weights[f"{name}/kernel"], stride, padding)
        x = tf.nn.relu(tf.nn.bias_add(x, weights[f"{name}/bias"]))
    return x


def _average(x):
    return tf.nn.avg_pool2d(x, 3, 1, "SAME")  # which leaves the padding out of the average


def _shrink(x):
    return tf.nn.max_pool2d(x, 3, 2, "VALID")


def _to_mixed_7(convs, x):
    x = convs(x, "conv", stride=2, padding="VALID")
    x = convs(x, "conv_1", padding="VALID")
    x = _shrink(convs(x, "conv_2"))
    x = convs(x, "conv_3", padding="VALID")
    x = _shrink(convs(x, "conv_4", padding="VALID"))

    for b in ("mixed", "mixed_1", "mixed_2"):  # 35 x 35
        tower = convs(x, f"{b}/tower/conv", f"{b}/tower/conv_1")
        tower_1 = convs(x, f"{b}/tower_1/conv", f"{b}/tower_1/conv_1", f"{b}/tower_1/conv_2")
        pooled = convs(_average(x), f"{b}/tower_2/conv")
        x = tf.concat([convs(x, f"{b}/conv"), tower, tower_1, pooled], -1)

    tower = convs(x, "mixed_3/tower/conv", "mixed_3/tower/conv_1")
    tower = convs(tower, "mixed_3/tower/conv_2", stride=2, padding="VALID")
    x = tf.concat([convs(x, "mixed_3/conv", stride=2, padding="VALID"), tower, _shrink(x)], -1)

    for b in ("mixed_4", "mixed_5", "mixed_6", "mixed_7"):  # 17 x 17
        tower = convs(x, *(f"{b}/tower/conv{i}" for i in ("", "_1", "_2")))
        tower_1 = convs(x, *(f"{b}/tower_1/conv{i}" for i in ("", "_1", "_2", "_3", "_4")))
        pooled = convs(_average(x), f"{b}/tower_2/conv")
        x = tf.concat([convs(x, f"{b}/conv"), tower, tower_1, pooled], -1)
    return x


def _to_mixed_10(convs, x):
    tower = convs(x, "mixed_8/tower/conv")
    tower = convs(tower, "mixed_8/tower/conv_1", stride=2, padding="VALID")
    tower_1 = convs(x, *(f"mixed_8/tower_1/conv{i}" for i in ("", "_1", "_2")))
    tower_1 = convs(tower_1, "mixed_8/tower_1/conv_3", stride=2, padding="VALID")
    x = tf.concat([tower, tower_1, _shrink(x)], -1)

    for b in ("mixed_9", "mixed_10"):  # 8 x 8
        tower = convs(x, f"{b}/tower/conv")
        tower_1 = convs(x, f"{b}/tower_1/conv", f"{b}/tower_1/conv_1")
        # The last one takes the maximum, as the graph has it.
        pooled = _average(x) if b == "mixed_9" else tf.nn.max_pool2d(x, 3, 1, "SAME")
        x = tf.concat(
            [
                convs(x, f"{b}/conv"),
                convs(tower, f"{b}/tower/mixed/conv"),
                convs(tower, f"{b}/tower/mixed/conv_1"),
                convs(tower_1, f"{b}/tower_1/mixed/conv"),
                convs(tower_1, f"{b}/tower_1/mixed/conv_1"),
                convs(pooled, f"{b}/tower_2/conv"),
            ],
            -1,
        )
    return x
