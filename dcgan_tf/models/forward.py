"""Faster forward passes for networks of plain Keras layers, with equal results.

- Batch normalization in training: Keras needs some eight passes over a map, TensorFlow's fused
  operation one. The bias of the convolution before it has no effect and is not added.
- Batch normalization in inference: part of the kernel and the bias of the convolution before it.
- A convolution to the 3 channels of an image, on a CPU: one matrix product, whose columns are then
  shifted and added. Otherwise most of the vector units are idle.
"""

import functools
import inspect
from typing import Any

import keras
import tensorflow as tf
from tensorflow.python.ops import control_flow_util

from dcgan_tf.models.chain import chain_of

FEW_CHANNELS = 4  # a convolution to at most so many is computed as a matrix product
PRECISIONS = ("float32", "bfloat16", "float16")  # of the maps; weights and statistics are float32


def forward(network: keras.Model, inputs: tf.Tensor, training: bool = True) -> Any:
    """Compute `network(inputs, training=training)`, up to rounding."""
    layers = chain_of(network)
    if layers is None:
        return network(inputs, training=training)
    outputs = inputs
    while layers:
        layer = layers.pop(0)
        has_norm = bool(layers) and _is_convolution_with_norm(layer, layers[0])
        if has_norm and not training:
            outputs = _fold(layer, layers.pop(0), outputs)
        elif has_norm and _fuses(layers[0]):
            outputs = _convolve(layer, outputs, layer.kernel)
            outputs = _normalize(layers.pop(0), outputs, layer.bias if layer.use_bias else 0.0)
        elif training and _fuses(layer):
            outputs = _normalize(layer, outputs)
        elif _has_few_channels(layer):
            outputs = _convolve_by_columns(layer, outputs)
        else:
            has_mode = "training" in inspect.signature(layer.call).parameters
            outputs = layer(outputs, **({"training": training} if has_mode else {}))
    return outputs


def _is_convolution_with_norm(layer: Any, norm: Any) -> bool:
    # Exact types: a subclass, such as SpectralConv2D, computes something else.
    return (
        type(layer) in (keras.layers.Conv2D, keras.layers.Conv2DTranspose)
        and type(norm) is keras.layers.BatchNormalization
        and norm.axis in (-1, 3)
        and layer.activation is keras.activations.linear
        and layer.data_format == "channels_last"
        and _is_known(layer)
        and norm.compute_dtype == layer.compute_dtype
    )


def _is_known(layer: Any) -> bool:
    """Whether the layer has a precision for which the faster forms are written."""
    return layer.compute_dtype in PRECISIONS and layer.variable_dtype == "float32"


def _fold(layer: Any, norm: Any, inputs: Any):
    """Convolve with a kernel and a bias that include the normalization by moving statistics."""
    factor = tf.math.rsqrt(norm.moving_variance + norm.epsilon)
    if norm.scale:
        factor *= norm.gamma
    bias = -norm.moving_mean * factor
    if layer.use_bias:
        bias += layer.bias * factor
    if norm.center:
        bias += norm.beta
    if type(layer) is keras.layers.Conv2DTranspose:
        factor = factor[:, None]  # its kernel is (rows, columns, out, in)
    outputs = _convolve(layer, inputs, layer.kernel * factor)
    return tf.nn.bias_add(outputs, tf.cast(bias, outputs.dtype))


def _convolve(layer: Any, inputs: Any, kernel: Any) -> Any:
    """Apply the layer with this kernel and without a bias."""
    inputs, kernel = (tf.cast(tensor, layer.compute_dtype) for tensor in (inputs, kernel))
    if type(layer) is keras.layers.Conv2D:
        return layer.convolution_op(inputs, kernel)
    how = layer.padding, layer.output_padding, layer.data_format, layer.dilation_rate
    return keras.ops.conv_transpose(inputs, kernel, layer.strides, *how)


def _fuses(layer: Any) -> bool:
    """Whether the layer is a batch normalization of maps that TensorFlow's operation computes."""
    return (
        type(layer) is keras.layers.BatchNormalization
        and layer.input_spec.ndim == 4  # pyright: ignore
        and layer.axis in (-1, 3)
        and layer.center
        and layer.scale
        and layer.trainable
        and not getattr(layer, "renorm", False)
        and _is_known(layer)
    )


def _normalize(layer: Any, inputs: Any, bias: Any = 0.0):
    """Normalize `inputs` and update the moving statistics.

    The `bias` of the convolution before is not in `inputs`: normalization removes it again, so it
    only moves the moving mean, and has no gradient.
    """
    normalize = _synchronized if layer.synchronized else _batch_norm
    inputs = tf.cast(inputs, layer.compute_dtype)
    outputs, mean, variance = normalize(inputs, layer.gamma, layer.beta, layer.epsilon)
    momentum = layer.momentum
    for moving, value in ((layer.moving_mean, mean + bias), (layer.moving_variance, variance)):
        moving.assign(moving * momentum + value * (1 - momentum))
    return outputs


def _batch_norm(inputs: Any, gamma: Any, beta: Any, epsilon: float):
    """Normalize over this device's images; return the maps, their mean and their variance."""
    dtype, shift = inputs.dtype, 0.0
    if control_flow_util.GraphOrParentsInXlaContext(tf.compat.v1.get_default_graph()):
        # XLA computes the variance as E[x^2] - E[x]^2, of which only rounding is left where the
        # mean is far from 0. So one of the pixels, which is near the mean, is subtracted first.
        inputs = tf.cast(inputs, tf.float32)
        shift = tf.stop_gradient(inputs[0, 0, 0])
        inputs -= shift
    outputs, mean, variance = tf.compat.v1.nn.fused_batch_norm(
        inputs,
        tf.convert_to_tensor(gamma),
        tf.convert_to_tensor(beta),
        epsilon=epsilon,
        is_training=True,
    )
    return tf.cast(outputs, dtype), mean + shift, _biased(variance, _count(inputs))


def _synchronized(inputs: Any, gamma: Any, beta: Any, epsilon: float) -> Any:
    """Normalize over the images of all devices, which have equally many each.

    TensorFlow's operation first measures the images of this device. Then the devices exchange
    means, and the operation's inference mode normalizes by them. The gradient by the inputs is one
    more such pass. With d the gradient by the outputs, x' the normalized inputs and E the mean over
    all images, it is gamma / deviation (d - E[d] - x' E[d x']).
    """

    @tf.custom_gradient
    def normalize(inputs: Any, gamma: Any, beta: Any):
        ones, count = tf.ones_like(gamma), _count(inputs)
        batch_norm = functools.partial(tf.raw_ops.FusedBatchNormV3, x=inputs, epsilon=epsilon)
        own = batch_norm(scale=ones, offset=ones, mean=[], variance=[])
        own_variance = _biased(own.batch_variance, count)
        # Means of x and of x^2 can be averaged over devices, variances cannot.
        moments = tf.stack([own.batch_mean, own_variance + tf.square(own.batch_mean)])
        mean, square = tf.unstack(_mean_over_devices(moments))
        variance = tf.maximum(square - tf.square(mean), 0.0)  # rounding may go below 0
        factor = tf.math.rsqrt(variance + epsilon)

        apply = functools.partial(batch_norm, mean=mean, variance=variance, is_training=False)

        def gradient(upstream: Any, *_):
            # Called for its two sums over the maps: its gradient by the inputs is that of this
            # device's statistics.
            spaces = {name: getattr(own, name) for name in own._fields if "reserve" in name}
            sums = tf.raw_ops.FusedBatchNormGradV3(
                y_backprop=upstream, x=inputs, scale=ones, epsilon=epsilon, **spaces
            )
            by_beta = sums.offset_backprop
            # Sum of d x' for this device's mean and deviation, then for those of all devices.
            by_gamma = sums.scale_backprop * tf.sqrt(own_variance + epsilon)
            by_gamma = (by_gamma + (own.batch_mean - mean) * by_beta) * factor
            # Means over all devices, because an image moves the statistics of all others.
            means = _mean_over_devices(tf.stack([by_beta, by_gamma]) / count)
            shift, slope = tf.unstack(-gamma * factor * means)
            by_inputs = upstream * tf.cast(gamma * factor, upstream.dtype)
            return by_inputs + apply(scale=slope, offset=shift).y, by_gamma, by_beta

        return (apply(scale=gamma, offset=beta).y, mean, variance), gradient

    return normalize(inputs, tf.convert_to_tensor(gamma), tf.convert_to_tensor(beta))


def _count(maps: Any):
    """Numbers per channel, a float32 scalar."""
    return tf.cast(tf.size(maps) // maps.shape[-1], tf.float32)


def _biased(variance: Any, count: Any):
    """Convert a variance with the denominator n - 1 to one with n, as Keras has it."""
    return variance * tf.maximum(count - 1, 1) / count


def _mean_over_devices(values: Any):
    return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.MEAN, values)


def _has_few_channels(layer: Any) -> bool:
    """Whether the layer is a convolution that is faster by columns."""
    return (
        type(layer) is keras.layers.Conv2D
        and layer.filters <= FEW_CHANNELS
        and layer.strides == layer.dilation_rate == (1, 1)
        and layer.padding == "same"
        and all(size % 2 for size in layer.kernel_size)
        and layer.groups == 1
        and layer.data_format == "channels_last"
        and _is_known(layer)
        and not tf.config.list_logical_devices("GPU")
    )


def _convolve_by_columns(layer: Any, inputs: Any):
    inputs, kernel = (tf.cast(tensor, layer.compute_dtype) for tensor in (inputs, layer.kernel))
    outputs = _by_columns(inputs, kernel)
    if layer.use_bias:
        outputs += tf.cast(layer.bias, outputs.dtype)
    return layer.activation(outputs)


@tf.custom_gradient
def _by_columns(inputs: Any, kernel: Any):
    """Convolve (n, h, w, in) with a kernel (rows, columns, in, out), both odd, to (n, h, w, out).

    One matrix product gives a number for each pixel, place in the kernel and output. They are kept
    as planes (h, w), so that shifting and adding them reads the memory in order.
    """
    rows, columns, channels, filters = kernel.shape
    height, width = inputs.shape[1:3]
    down = range(-(rows // 2), rows // 2 + 1)
    right = range(-(columns // 2), columns // 2 + 1)
    pixels = tf.reshape(inputs, (-1, channels))
    weights = tf.reshape(tf.transpose(kernel, (0, 1, 3, 2)), (-1, channels))

    def gradient(upstream: Any):
        # The same planes in reverse: shifted apart, then one matrix product for each gradient.
        # TensorFlow's own gradient takes twice as long.
        planes = tf.transpose(upstream, (3, 0, 1, 2))
        planes = tf.stack([_shift(planes, 0, j) for j in right])
        planes = tf.stack([_shift(planes, i, 0) for i in down])
        planes = tf.reshape(planes, (rows * columns * filters, -1))
        by_inputs = tf.reshape(tf.matmul(planes, weights, transpose_a=True), tf.shape(inputs))
        by_kernel = tf.reshape(tf.matmul(planes, pixels), (rows, columns, filters, channels))
        return by_inputs, tf.transpose(by_kernel, (0, 1, 3, 2))

    planes = tf.matmul(weights, pixels, transpose_b=True)
    planes = tf.cast(planes, tf.float32)  # half precision would lose digits in the sums
    planes = tf.reshape(planes, (rows, columns, filters, -1, height, width))
    # Rows and columns apart: rows + columns shifts instead of rows * columns.
    planes = tf.add_n([_shift(planes[n], -i, 0) for n, i in enumerate(down)])
    planes = tf.add_n([_shift(planes[n], 0, -j) for n, j in enumerate(right)])
    return tf.cast(tf.transpose(planes, (1, 2, 3, 0)), inputs.dtype), gradient


def _shift(planes: Any, down: int, right: int):
    """Move planes (…, h, w) down and right (up and left if negative), with zeros in the gap."""
    height, width = planes.shape[-2:]
    down, right = (min(max(by, -n), n) for by, n in ((down, height), (right, width)))
    above, below, left, right = max(down, 0), max(-down, 0), max(right, 0), max(-right, 0)
    part = planes[..., below : height - above, right : width - left]
    return tf.pad(part, [[0, 0]] * (len(planes.shape) - 2) + [[above, below], [left, right]])
