"""Faster forward passes for layers that Keras computes slowly, with equal results.

In training two layers cost far more than their arithmetic. Keras normalises a batch in some eight
passes over the map and as many again for the gradient, where TensorFlow has one operation for each,
and two or three where several devices have to exchange means in between; and the bias of the
convolution before, which normalization takes away, is neither added nor given a gradient. A
convolution to the 3 channels of a picture leaves most of a processor's vector units idle: written
as one matrix product, whose columns are then shifted into place and added, it does not. Where
nothing is learnt, BatchNorm is a factor and a sum for each channel, which the convolution before it
computes on its way. The network itself stays one of plain Keras layers, on disk too.
"""

import inspect

import keras
import tensorflow as tf

from dcgan_tf.models.chain import chain_of

FEW_CHANNELS = 4  # up to which a convolution is a matrix product here
PRECISIONS = ("float32", "bfloat16")  # of the maps; weights and statistics are float32


def forward(network: keras.Model, inputs: tf.Tensor) -> tf.Tensor:
    """`network(inputs, training=True)`, up to rounding.

    Layers without a faster form, and networks that are no chain of layers, are called as they are.
    """
    layers = chain_of(network)
    if layers is None:
        return network(inputs, training=True)
    outputs = inputs
    while layers:
        layer = layers.pop(0)
        if layers and _precedes(layer, layers[0]) and _fuses(layers[0]):
            outputs = _convolution(layer, outputs, layer.kernel)
            outputs = _normalized(layers.pop(0), outputs, layer.bias if layer.use_bias else 0.0)
        elif _fuses(layer):
            outputs = _normalized(layer, outputs)
        elif _multiplies(layer):
            outputs = _convolved(layer, outputs)
        else:
            outputs = _called(layer, outputs, training=True)
    return outputs


def infer(network: keras.Model, inputs: tf.Tensor) -> tf.Tensor:
    """`network(inputs, training=False)`, up to rounding.

    Layers without a faster form, and networks that are no chain of layers, are called as they are.
    """
    layers = chain_of(network)
    if layers is None:
        return network(inputs, training=False)
    outputs = inputs
    while layers:
        layer = layers.pop(0)
        if layers and _precedes(layer, layers[0]):
            outputs = _folded(layer, layers.pop(0), outputs)
        elif _multiplies(layer):
            outputs = _convolved(layer, outputs)
        else:
            outputs = _called(layer, outputs, training=False)
    return outputs


def _called(layer, inputs, training):
    has_mode = "training" in inspect.signature(layer.call).parameters
    return layer(inputs, **({"training": training} if has_mode else {}))


def _precedes(layer, norm):
    """bool: a convolution, and the batch normalization of its very outputs."""
    return (
        type(layer) in (keras.layers.Conv2D, keras.layers.Conv2DTranspose)
        and type(norm) is keras.layers.BatchNormalization
        and norm.axis in (-1, 3)
        and layer.activation is keras.activations.linear
        and layer.data_format == "channels_last"
        and _is_known(layer)
        and norm.compute_dtype == layer.compute_dtype
    )


def _is_known(layer):
    """bool: in one of the precisions that the faster forms are written for."""
    return layer.compute_dtype in PRECISIONS and layer.variable_dtype == "float32"


def _folded(layer, norm, inputs):
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
    outputs = _convolution(layer, inputs, layer.kernel * factor)
    return tf.nn.bias_add(outputs, tf.cast(bias, outputs.dtype))


def _convolution(layer, inputs, kernel):
    """What the layer does with this kernel, without a bias."""
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


def _fuses(layer):
    """bool: a batch normalization that TensorFlow's operation computes."""
    return (
        type(layer) is keras.layers.BatchNormalization
        and layer.input_spec.ndim == 4
        and layer.axis in (-1, 3)
        and layer.center
        and layer.scale
        and layer.trainable
        and not getattr(layer, "renorm", False)
        and _is_known(layer)
    )


def _normalized(layer, inputs, bias=0.0):
    """`inputs` and the `bias` that they lack, normalized.

    Normalization takes away what is added to a channel, so the bias only moves the mean that is
    kept, and has no gradient.
    """
    normalize = _synchronized if layer.synchronized else _batch_norm
    inputs = tf.cast(inputs, layer.compute_dtype)
    outputs, mean, variance = normalize(inputs, layer.gamma, layer.beta, layer.epsilon)
    kept = layer.momentum
    layer.moving_mean.assign(layer.moving_mean * kept + (mean + bias) * (1 - kept))
    layer.moving_variance.assign(layer.moving_variance * kept + variance * (1 - kept))
    return outputs


def _batch_norm(inputs, gamma, beta, epsilon):
    """The maps normalized over this device's pictures, and the mean and variance of these."""
    outputs, mean, variance = tf.compat.v1.nn.fused_batch_norm(
        inputs,
        tf.convert_to_tensor(gamma),
        tf.convert_to_tensor(beta),
        epsilon=epsilon,
        is_training=True,
    )
    return outputs, mean, _of_all(variance, _count(inputs))


def _synchronized(inputs, gamma, beta, epsilon):
    """The maps normalized over the pictures of all devices, which have equally many each.

    TensorFlow's operation knows of this device alone. So it measures here, the devices exchange
    means, and in its other mode, with statistics that are given, it applies them. The gradient by
    the inputs is such a pass as well: with d the gradient by the outputs, x' the normalized inputs
    and E the mean over all pictures it is gamma / deviation (d - E[d] - x' E[d x']).
    """
    fused = tf.raw_ops.FusedBatchNormV3

    @tf.custom_gradient
    def normalize(inputs, gamma, beta):
        ones, count = tf.ones_like(gamma), _count(inputs)
        own = fused(x=inputs, scale=ones, offset=ones, mean=[], variance=[], epsilon=epsilon)
        own_variance = _of_all(own.batch_variance, count)
        moments = tf.stack([own.batch_mean, own_variance + tf.square(own.batch_mean)])
        mean, square = tf.unstack(_mean_over_devices(moments))
        variance = tf.maximum(square - tf.square(mean), 0.0)
        factor = tf.math.rsqrt(variance + epsilon)

        def applied(scale, offset):
            return fused(
                x=inputs,
                scale=scale,
                offset=offset,
                mean=mean,
                variance=variance,
                epsilon=epsilon,
                is_training=False,
            ).y

        def gradient(upstream, *_):
            """By inputs, gamma and beta; the latter two are sums over this device's pictures."""
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
            # Sum of d x', whose x' has here the mean and the deviation of this device.
            by_gamma = sums.scale_backprop * tf.sqrt(own_variance + epsilon)
            by_gamma = (by_gamma + (own.batch_mean - mean) * by_beta) * factor
            means = _mean_over_devices(tf.stack([by_beta, by_gamma]) / count)
            shift, slope = tf.unstack(-gamma * factor * means)
            by_inputs = upstream * tf.cast(gamma * factor, upstream.dtype) + applied(slope, shift)
            return by_inputs, by_gamma, by_beta

        return (applied(gamma, beta), mean, variance), gradient

    return normalize(inputs, tf.convert_to_tensor(gamma), tf.convert_to_tensor(beta))


def _count(maps):
    """float32 scalar: how many numbers a channel has."""
    return tf.cast(tf.size(maps) // maps.shape[-1], tf.float32)


def _of_all(variance, count):
    """The variance with n in its denominator, as Keras keeps it, of that with n - 1."""
    return variance * tf.maximum(count - 1, 1) / count


def _mean_over_devices(values):
    return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.MEAN, values)


def _multiplies(layer):
    """bool: a convolution to few channels, and a processor to compute it."""
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


def _convolved(layer, inputs):
    inputs, kernel = (tf.cast(tensor, layer.compute_dtype) for tensor in (inputs, layer.kernel))
    outputs = _by_columns(inputs, kernel)
    if layer.use_bias:
        outputs += tf.cast(layer.bias, outputs.dtype)
    return layer.activation(outputs)


@tf.custom_gradient
def _by_columns(inputs, kernel):
    """(n, h, w, in) and (rows, columns, in, out), both odd, to (n, h, w, out).

    One number for each pixel, place in the kernel and output, as planes: so shifting and adding
    them reads the memory in order. First all columns of a row of the kernel are shifted as one,
    then the sums of the rows, column by column.
    """
    rows, columns, channels, filters = kernel.shape
    height, width = inputs.shape[1:3]
    down = range(-(rows // 2), rows // 2 + 1)
    right = range(-(columns // 2), columns // 2 + 1)
    pixels = tf.reshape(inputs, (-1, channels))
    weights = tf.reshape(tf.transpose(kernel, (0, 1, 3, 2)), (-1, channels))

    def gradient(of_outputs):
        planes = tf.transpose(of_outputs, (3, 0, 1, 2))
        planes = tf.stack([_shifted(planes, 0, j) for j in right])
        planes = tf.stack([_shifted(planes, i, 0) for i in down])
        planes = tf.reshape(planes, (rows * columns * filters, -1))
        of_inputs = tf.reshape(tf.matmul(planes, weights, transpose_a=True), tf.shape(inputs))
        of_kernel = tf.reshape(tf.matmul(planes, pixels), (rows, columns, filters, channels))
        return of_inputs, tf.transpose(of_kernel, (0, 1, 3, 2))

    planes = tf.matmul(weights, pixels, transpose_b=True)
    planes = tf.cast(planes, tf.float32)  # of which many are added
    planes = tf.reshape(planes, (rows, columns, filters, -1, height, width))
    planes = tf.add_n([_shifted(planes[n], -i, 0) for n, i in enumerate(down)])
    planes = tf.add_n([_shifted(planes[n], 0, -j) for n, j in enumerate(right)])
    return tf.cast(tf.transpose(planes, (1, 2, 3, 0)), inputs.dtype), gradient


def _shifted(planes, down, right):
    """Planes (…, h, w), moved down and to the right (up, left where negative), zeros in the gap."""
    height, width = planes.shape[-2:]
    part = planes[
        ..., max(-down, 0) : height - max(down, 0), max(-right, 0) : width - max(right, 0)
    ]
    gaps = [[max(down, 0), max(-down, 0)], [max(right, 0), max(-right, 0)]]
    return tf.pad(part, [[0, 0]] * (len(planes.shape) - 2) + gaps)
