"""Faster forward passes for layers that Keras computes slowly, with equal results.

In training two layers cost far more than their arithmetic. Keras normalizes a batch in some eight
passes over the map and as many again for the gradient, where TensorFlow has one operation for each,
and two or three where several devices exchange means in between; and the bias of the convolution
before, which normalization takes away, is neither added nor given a gradient. A convolution to the
3 channels of an image leaves most of a processor's vector units idle; one matrix product, whose
columns are then shifted into place and added, does not. In inference BatchNorm is a factor and a
sum for each channel, which the convolution before it computes on its way. The network itself stays
one of plain Keras layers, on disk too.
"""

import inspect
from typing import Any

import keras
import tensorflow as tf
from tensorflow.python.ops import control_flow_util

from dcgan_tf.models.chain import chain_of

FEW_CHANNELS = 4  # up to which a convolution is a matrix product here
PRECISIONS = ("float32", "bfloat16", "float16")  # of the maps; weights, statistics: float32


def forward(network: keras.Model, inputs: tf.Tensor) -> tf.Tensor:
    """Compute `network(inputs, training=True)`, up to rounding."""
    return _run(network, inputs, training=True)


def infer(network: keras.Model, inputs: tf.Tensor) -> tf.Tensor:
    """Compute `network(inputs, training=False)`, up to rounding."""
    return _run(network, inputs, training=False)


def _run(network: keras.Model, inputs: Any, training: bool) -> Any:
    layers = chain_of(network)
    if layers is None:  # the layers' order alone does not say what such a network computes
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
    # Exact types: a subclass, such as a spectral one, may compute something else.
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
    """Whether the faster forms below are written for the layer's precision."""
    return layer.compute_dtype in PRECISIONS and layer.variable_dtype == "float32"


def _fold(layer: Any, norm: Any, inputs: Any):
    """Convolve with a kernel and a bias that contain the normalization by moving statistics."""
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
    return keras.ops.conv_transpose(
        inputs,
        kernel,
        layer.strides,
        layer.padding,
        layer.output_padding,
        layer.data_format,
        layer.dilation_rate,
    )


def _fuses(layer: Any) -> bool:
    """Whether TensorFlow's fused operation computes this layer: batch normalization of maps."""
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
    """Normalize `inputs`, to which `bias` was not yet added, and update the moving statistics.

    Normalization removes what is added to a channel, so the bias only moves the moving mean, and
    has no gradient.
    """
    normalize = _synchronized if layer.synchronized else _batch_norm
    inputs = tf.cast(inputs, layer.compute_dtype)
    outputs, mean, variance = normalize(inputs, layer.gamma, layer.beta, layer.epsilon)
    kept = layer.momentum
    layer.moving_mean.assign(layer.moving_mean * kept + (mean + bias) * (1 - kept))
    layer.moving_variance.assign(layer.moving_variance * kept + variance * (1 - kept))
    return outputs


def _batch_norm(inputs: Any, gamma: Any, beta: Any, epsilon: float):
    """Normalize over this device's images; return the maps, their mean and their variance."""
    dtype, shift = inputs.dtype, 0.0
    if _is_compiled():
        # XLA takes the variance as E[x^2] - E[x]^2, of which only rounding is left, or a number
        # below 0, where a channel's mean is far from 0. Any of its pixels is near enough to it.
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


def _is_compiled() -> bool:
    """Whether what is traced now is compiled by XLA."""
    return control_flow_util.GraphOrParentsInXlaContext(tf.compat.v1.get_default_graph())


def _synchronized(inputs: Any, gamma: Any, beta: Any, epsilon: float) -> Any:
    """Normalize over the images of all devices, which have equally many each.

    TensorFlow's operation sees this device alone. So it measures here, the devices exchange means,
    and in its inference mode, with given statistics, it applies them. The gradient by the inputs is
    such a pass as well: with d the gradient by the outputs, x' the normalized inputs and E the mean
    over all images it is gamma / deviation (d - E[d] - x' E[d x']).
    """
    fused = tf.raw_ops.FusedBatchNormV3

    @tf.custom_gradient
    def normalize(inputs: Any, gamma: Any, beta: Any):
        ones, count = tf.ones_like(gamma), _count(inputs)
        own = fused(x=inputs, scale=ones, offset=ones, mean=[], variance=[], epsilon=epsilon)
        own_variance = _biased(own.batch_variance, count)
        # Means of x and of x^2 can be averaged over devices, variances cannot.
        moments = tf.stack([own.batch_mean, own_variance + tf.square(own.batch_mean)])
        mean, square = tf.unstack(_mean_over_devices(moments))
        variance = tf.maximum(square - tf.square(mean), 0.0)  # rounding may go below 0
        factor = tf.math.rsqrt(variance + epsilon)

        def apply(scale: Any, offset: Any):
            """The map scale * x' + offset in one pass."""
            return fused(
                x=inputs,
                scale=scale,
                offset=offset,
                mean=mean,
                variance=variance,
                epsilon=epsilon,
                is_training=False,
            ).y

        def gradient(upstream: Any, *_):
            """By inputs, gamma and beta; the latter two are sums over this device's images."""
            # Its gradient by the inputs is wrong here (this device's statistics) and not used; the
            # two sums over the maps are what it is called for.
            sums = tf.raw_ops.FusedBatchNormGradV3(
                y_backprop=upstream,
                x=inputs,
                scale=ones,
                reserve_space_1=own.reserve_space_1,
                reserve_space_2=own.reserve_space_2,
                reserve_space_3=own.reserve_space_3,
                epsilon=epsilon,
            )
            by_beta = sums.offset_backprop
            # Sum of d x' for this device's mean and deviation, then for those of all devices.
            by_gamma = sums.scale_backprop * tf.sqrt(own_variance + epsilon)
            by_gamma = (by_gamma + (own.batch_mean - mean) * by_beta) * factor
            # Averaged over all devices: an image moves the statistics of all others.
            means = _mean_over_devices(tf.stack([by_beta, by_gamma]) / count)
            shift, slope = tf.unstack(-gamma * factor * means)
            by_inputs = upstream * tf.cast(gamma * factor, upstream.dtype) + apply(slope, shift)
            return by_inputs, by_gamma, by_beta

        return (apply(gamma, beta), mean, variance), gradient

    return normalize(inputs, tf.convert_to_tensor(gamma), tf.convert_to_tensor(beta))


def _count(maps: Any):
    """Numbers per channel, a float32 scalar."""
    return tf.cast(tf.size(maps) // maps.shape[-1], tf.float32)


def _biased(variance: Any, count: Any):
    """Convert a variance with n - 1 in its denominator to one with n, as Keras keeps it."""
    return variance * tf.maximum(count - 1, 1) / count


def _mean_over_devices(values: Any):
    return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.MEAN, values)


def _has_few_channels(layer: Any) -> bool:
    """Whether a convolution is faster by columns: few channels, on a CPU."""
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
        # The same planes the other way round: shifted apart, then one matrix product for each.
        planes = tf.transpose(upstream, (3, 0, 1, 2))
        planes = tf.stack([_shift(planes, 0, j) for j in right])
        planes = tf.stack([_shift(planes, i, 0) for i in down])
        planes = tf.reshape(planes, (rows * columns * filters, -1))
        by_inputs = tf.reshape(tf.matmul(planes, weights, transpose_a=True), tf.shape(inputs))
        by_kernel = tf.reshape(tf.matmul(planes, pixels), (rows, columns, filters, channels))
        return by_inputs, tf.transpose(by_kernel, (0, 1, 3, 2))

    planes = tf.matmul(weights, pixels, transpose_b=True)
    planes = tf.cast(planes, tf.float32)  # many are added: half precision would lose digits
    planes = tf.reshape(planes, (rows, columns, filters, -1, height, width))
    # Rows and columns apart: rows + columns shifts instead of rows * columns.
    planes = tf.add_n([_shift(planes[n], -i, 0) for n, i in enumerate(down)])
    planes = tf.add_n([_shift(planes[n], 0, -j) for n, j in enumerate(right)])
    return tf.cast(tf.transpose(planes, (1, 2, 3, 0)), inputs.dtype), gradient


def _shift(planes: Any, down: int, right: int):
    """Move planes (…, h, w) down and right (up and left if negative), with zeros in the gap."""
    height, width = planes.shape[-2:]
    part = planes[
        ..., max(-down, 0) : height - max(down, 0), max(-right, 0) : width - max(right, 0)
    ]
    gaps = [[max(down, 0), max(-down, 0)], [max(right, 0), max(-right, 0)]]
    return tf.pad(part, [[0, 0]] * (len(planes.shape) - 2) + gaps)
