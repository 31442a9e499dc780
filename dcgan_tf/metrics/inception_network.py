"""The Inception network of 2015-12-05 as plain TensorFlow functions.

Weights have the names of the reference graph's nodes. The Inception networks of Keras and
torchvision differ, and scores computed with them are not FID.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any, Literal

import tensorflow as tf

SOFTMAX = "softmax/weights"
INPUT_SIZE = 299
Shape = tuple[int, ...]
Weight = Callable[[str, Shape], Any]  # returns the weight with a name, of that shape


def network(weight: Weight, x: tf.Tensor, layers: Sequence[str]) -> dict[str, tf.Tensor]:
    """Compute {layer: float32 [n, dimensions]} for x float32 [n, 299, 299, 3].

    Only as deep as `layers` needs. Batch norm is folded into kernels and biases, and the bias of
    the softmax is left out, as the authors of the Inception Score do.
    """
    x = _to_mixed_7(weight, x)
    outputs = {"mixed_7": tf.reduce_mean(x, [1, 2])}
    if set(layers) == {"mixed_7"}:
        return outputs
    outputs["pool_3"] = tf.reduce_mean(_to_mixed_10(weight, x), [1, 2])
    if "logits" in layers:
        outputs["logits"] = tf.linalg.matmul(outputs["pool_3"], weight(SOFTMAX, (2048, 1008)))
    return outputs


@functools.cache
def weight_shapes(layer: str = "logits") -> dict[str, Shape]:
    """Return {weight name: shape} of all that "mixed_7", "pool_3" or "logits" depends on."""
    shapes: dict[str, Shape] = {}

    def record(name: str, shape: Shape) -> tf.Tensor:
        shapes[name] = shape
        return tf.zeros(shape)

    with tf.Graph().as_default():  # computes nothing
        network(record, tf.zeros([1, INPUT_SIZE, INPUT_SIZE, 3]), (layer,))
    return shapes


def preprocess(images: Any) -> tf.Tensor:
    """Convert uint8 [n, height, width, 3] to float32 [n, 299, 299, 3], as the reference graph does.

    TensorFlow 1's bilinear resize (no half-pixel centers, no antialiasing), then (x - 128) / 128.
    """
    resized = tf.raw_ops.ResizeBilinear(
        images=tf.cast(images, tf.float32), size=[INPUT_SIZE, INPUT_SIZE]
    )
    return (resized - 128.0) * (1 / 128)


def _conv(
    weight: Weight,
    x: tf.Tensor,
    name: str,
    kernel: Shape,
    stride: int = 1,
    padding: Literal["SAME", "VALID"] = "SAME",
):
    """Convolve with a kernel of (height, width, filters), then ReLU."""
    (*size, filters), channels = kernel, int(x.shape[-1] or 0)
    x = tf.nn.conv2d(x, weight(f"{name}/kernel", (*size, channels, filters)), stride, padding)
    return tf.nn.relu(tf.nn.bias_add(x, weight(f"{name}/bias", (filters,))))


def _tower(weight: Weight, x: tf.Tensor, prefix: str, *kernels: Shape):
    for number, kernel in enumerate(kernels):
        x = _conv(weight, x, f"{prefix}/conv_{number}" if number else f"{prefix}/conv", kernel)
    return x


def _average(x: tf.Tensor):
    return tf.nn.avg_pool2d(x, 3, 1, "SAME")  # ignores the padding


def _shrink(x: tf.Tensor):
    return tf.nn.max_pool2d(x, 3, 2, "VALID")


def _to_mixed_7(weight: Weight, x: tf.Tensor):
    conv, tower = functools.partial(_conv, weight), functools.partial(_tower, weight)
    x = conv(x, "conv", (3, 3, 32), 2, "VALID")
    x = conv(x, "conv_1", (3, 3, 32), 1, "VALID")
    x = _shrink(conv(x, "conv_2", (3, 3, 64)))
    x = conv(x, "conv_3", (1, 1, 80), 1, "VALID")
    x = _shrink(conv(x, "conv_4", (3, 3, 192), 1, "VALID"))

    for b, pooled in (("mixed", 32), ("mixed_1", 64), ("mixed_2", 64)):  # 35 x 35
        branches = [
            tower(x, b, (1, 1, 64)),
            tower(x, f"{b}/tower", (1, 1, 48), (5, 5, 64)),
            tower(x, f"{b}/tower_1", (1, 1, 64), (3, 3, 96), (3, 3, 96)),
            tower(_average(x), f"{b}/tower_2", (1, 1, pooled)),
        ]
        x = tf.concat(branches, -1)

    direct = conv(x, "mixed_3/conv", (3, 3, 384), 2, "VALID")
    y = tower(x, "mixed_3/tower", (1, 1, 64), (3, 3, 96))
    y = conv(y, "mixed_3/tower/conv_2", (3, 3, 96), 2, "VALID")
    x = tf.concat([direct, y, _shrink(x)], -1)

    for b, n in (("mixed_4", 128), ("mixed_5", 160), ("mixed_6", 160), ("mixed_7", 192)):  # 17 x 17
        row, column, point = (1, 7, n), (7, 1, n), (1, 1, n)
        branches = [
            tower(x, b, (1, 1, 192)),
            tower(x, f"{b}/tower", point, row, (7, 1, 192)),
            tower(x, f"{b}/tower_1", point, column, row, column, (1, 7, 192)),
            tower(_average(x), f"{b}/tower_2", (1, 1, 192)),
        ]
        x = tf.concat(branches, -1)
    return x


def _to_mixed_10(weight: Weight, x: tf.Tensor):
    conv, tower = functools.partial(_conv, weight), functools.partial(_tower, weight)
    y = tower(x, "mixed_8/tower", (1, 1, 192))
    y = conv(y, "mixed_8/tower/conv_1", (3, 3, 320), 2, "VALID")
    y_1 = tower(x, "mixed_8/tower_1", (1, 1, 192), (1, 7, 192), (7, 1, 192))
    y_1 = conv(y_1, "mixed_8/tower_1/conv_3", (3, 3, 192), 2, "VALID")
    x = tf.concat([y, y_1, _shrink(x)], -1)

    for b in ("mixed_9", "mixed_10"):  # 8 x 8
        branches = [tower(x, b, (1, 1, 320))]
        y = tower(x, f"{b}/tower", (1, 1, 384))
        y_1 = tower(x, f"{b}/tower_1", (1, 1, 448), (3, 3, 384))
        for part, name in ((y, "tower"), (y_1, "tower_1")):
            branches.append(conv(part, f"{b}/{name}/mixed/conv", (1, 3, 384)))
            branches.append(conv(part, f"{b}/{name}/mixed/conv_1", (3, 1, 384)))
        # The last one takes the maximum, as the graph has it.
        pooled = _average(x) if b == "mixed_9" else tf.nn.max_pool2d(x, 3, 1, "SAME")
        x = tf.concat([*branches, tower(pooled, f"{b}/tower_2", (1, 1, 192))], -1)
    return x
