"""Check the networks and the batches for a DCGAN: uint8 images, with or without their indices."""

from typing import Any

import keras
import tensorflow as tf

from dcgan_tf.common.errors import UserError
from dcgan_tf.common.labels import Labels, labels_of
from dcgan_tf.common.limits import counted
from dcgan_tf.models.chain import layers_of, outputs_of
from dcgan_tf.models.pixels import check_logits

_MARK = "DCGAN: "


def check_networks(generator: keras.Model, discriminator: keras.Model) -> None:
    """Raise UserError unless D takes what G makes, and gives a logit, and one for each label."""
    labels = labels_of(generator)
    if labels and (length := generator.input_shape[-1]) <= labels.n:
        words = f"the generator takes latents of {length}, which have no room for normal numbers"
        raise UserError(f"{words} and {labels.n} labels at their end")
    if not discriminator.built:
        words = (
            "is not built, so its weights are unknown; begin it with keras.Input(image shape), or"
        )
        raise UserError(f"the discriminator {words} call it once on images")
    for network in (generator, discriminator):
        layers = layers_of(network)
        if network.losses or any(getattr(x, "activity_regularizer", None) for x in layers):
            words = "whose losses are not added here; use a weight decay of the optimizer instead"
            raise UserError(f"{network.name} has regularizers, {words}")
    if not getattr(discriminator, "inputs", None):
        return  # a subclassed model has no known shapes
    made = tuple(outputs_of(generator)[0].shape[1:])
    taken = tuple(discriminator.input_shape[1:])
    if len(made) != len(taken) or any(t not in (None, m) for m, t in zip(made, taken, strict=True)):
        raise UserError(f"the generator makes {made} and the discriminator takes {taken}")
    check_outputs(discriminator.output_shape, labels)
    check_logits(discriminator)


def check_outputs(shape: Any, labels: Labels | None) -> None:
    """Raise UserError unless D's outputs, of this shape, are a logit and one for each label."""
    count = 1 + (labels.n if labels else 0)
    if tuple(shape[1:]) != (count,):
        more = f" and one for each of {counted(labels.n, 'label')}" if labels else ""
        words = f"expected a logit{more}, (None, {count})"
        raise UserError(f"the discriminator gives {tuple(shape)}, {words}")


def check_dataset(
    dataset: tf.data.Dataset[Any] | None, shape: tuple[Any, ...], labels: int = 0
) -> tf.data.Dataset[Any]:
    """Check the elements of a data set, and let its pipeline check the values, on the CPU.

    Args:
        dataset: of uint8 images of `shape`, of (images, labels), whose labels are dropped, or of
            {"image": images, "index": int64 (batch_size,)}, where the indices of a batch are
            k * batch_size, k * batch_size + 1, ... (shuffled ones would draw latents twice).
        shape: (batch_size, height, width, channels) of the model.
        labels: number of labels; with any, the dict has "label", numbers (batch_size, labels).

    Raises:
        ValueError: elements of another kind. For other values, the pipeline raises an error with
            the sentence that `refusal_in` extracts.
    """
    if not isinstance(dataset, tf.data.Dataset):
        raise ValueError(
            f"the data are {type(dataset).__name__}, expected a tf.data.Dataset; of uint8 images "
            "in an array: tf.data.Dataset.from_tensor_slices(images).shuffle(len(images))"
            f".batch({shape[0]}, drop_remainder=True)"
        )

    # AutoGraph takes time, and leaves files behind if it is killed.
    @tf.autograph.experimental.do_not_convert
    def check(images: Any, *labels: tf.Tensor):
        if isinstance(images, dict):
            index = _check_order(images["index"], shape[0])
            return images | {"image": _check_shape(images["image"], shape), "index": index}
        return _check_shape(images, shape)

    spec = dataset.element_spec
    check_batch(spec[0] if isinstance(spec, tuple) else spec, shape, labels)
    return dataset.map(check)


def check_batch(spec: Any, shape: tuple[Any, ...], labels: int = 0) -> None:
    """Raise ValueError if a TensorSpec is not that of the batches of `shape` with `labels`."""
    images = spec.get("image") if isinstance(spec, dict) else spec
    if not isinstance(images, tf.TensorSpec) or images.shape.rank != 4:
        raise ValueError(
            f"batches are {spec}, expected images (n, height, width, channels), or a dict of "
            'them ("image") and their indices ("index")'
        )
    if images.dtype != tf.uint8:
        raise ValueError(
            f"images are {images.dtype.name}, expected uint8 from 0 to 255: dataset.map("
            "lambda images: tf.cast(images, tf.uint8)), or of values from 0 to 1 "
            "tf.cast(images * 255, tf.uint8)"
        )
    if not images.shape.is_compatible_with(shape):
        raise ValueError(_wrong_shape(tuple(images.shape), shape))
    names = {"image", "index"} | ({"label"} if labels else set())
    if isinstance(spec, dict) and (set(spec) != names or spec["index"].dtype != tf.int64):
        more = ' and "label"' if labels else ""
        raise ValueError(f'batches have {sorted(spec)}, expected "image" and int64 "index"{more}')
    label = spec["label"].shape if labels and isinstance(spec, dict) else None
    if labels and not (label and label.is_compatible_with((shape[0], labels))):
        expected = f'"image", "index" and "label", numbers of shape {(shape[0], labels)}'
        raise ValueError(f"a batch is {spec}, expected a dict of {expected}")


def _wrong_shape(got: Any, shape: tuple[Any, ...]):
    return (
        f"a batch is {got}, expected {shape}: images of the size of the networks, batch_size "
        f"at a time, with dataset.batch({shape[0]}, drop_remainder=True)"
    )


def _check_shape(images: Any, shape: tuple[Any, ...]):
    message = f"{_MARK}{_wrong_shape('of another shape (a short last one?)', shape)}"
    with tf.control_dependencies([tf.debugging.assert_equal(tf.shape(images), shape, message)]):
        return tf.ensure_shape(tf.identity(images), shape)


def _check_order(index: tf.Tensor, batch_size: int):
    message = (
        f"{_MARK}the indices of a batch are not k * {batch_size}, k * {batch_size} + 1, ...: "
        "shuffle the images before they are numbered and batched"
    )
    first = index[0] // batch_size * batch_size
    expected = first + tf.range(batch_size, dtype=tf.int64)
    with tf.control_dependencies([tf.debugging.assert_equal(index, expected, message)]):
        return tf.ensure_shape(tf.identity(index), (batch_size,))


def refusal_in(error: Exception) -> str | None:
    """Extract the sentence of one of these checks from a TensorFlow error; None without one."""
    _, mark, rest = str(error).partition(_MARK)
    if not mark:
        return None
    return rest.splitlines()[0].split("'")[0].split("] [")[0].strip()  # as TensorFlow quotes it
