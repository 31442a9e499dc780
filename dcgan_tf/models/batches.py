"""What DCGAN.fit takes: any tf.data of uint8 pictures, checked before it reaches the step.

The checks run in the input pipeline, on the CPU, so that they cost the step nothing.
"""

import tensorflow as tf

_MARK = "DCGAN: "
# These functions need no conversion, which takes time and leaves files behind where it is killed.
_as_it_is = tf.autograph.experimental.do_not_convert


def checked(dataset: tf.data.Dataset, batch_size: int) -> tf.data.Dataset:
    """The same batches, refused where DCGAN would draw wrong noise for them.

    Args:
        dataset: of uint8 (batch_size, height, width, channels), of (pictures, labels), whose
            labels are dropped, or of {"image": pictures, "index": int64 (batch_size,)}, where the
            indices of a batch are k * batch_size, k * batch_size + 1, ...
        batch_size: of the model.

    Raises:
        ValueError: at once, if elements are of another kind; what only a look at the numbers
            tells is raised while the data are read (see `refusal_in`).
    """
    if not isinstance(dataset, tf.data.Dataset):
        raise ValueError(
            f"the data are {type(dataset).__name__}, expected a tf.data.Dataset; of uint8 pictures "
            "in an array: tf.data.Dataset.from_tensor_slices(pictures).shuffle(len(pictures))"
            f".batch({batch_size}, drop_remainder=True)"
        )
    spec = dataset.element_spec
    if isinstance(spec, tuple):
        dataset, spec = dataset.map(_as_it_is(lambda pictures, *labels: pictures)), spec[0]
    pictures = spec.get("image") if isinstance(spec, dict) else spec
    if not isinstance(pictures, tf.TensorSpec) or pictures.shape.rank != 4:
        raise ValueError(
            f"batches are {spec}, expected pictures (n, height, width, channels), or a dict of "
            'them ("image") and their indices ("index")'
        )
    if pictures.dtype != tf.uint8:
        raise ValueError(
            f"pictures are {pictures.dtype.name}, expected uint8 from 0 to 255; if their values "
            "are such: dataset.map(lambda pictures: tf.cast(pictures, tf.uint8))"
        )
    if pictures.shape[0] not in (None, batch_size):
        raise ValueError(_wrong_size(pictures.shape[0], batch_size))
    if not isinstance(spec, dict):
        return dataset.map(_as_it_is(lambda pictures: _of_size(pictures, batch_size)))
    if set(spec) != {"image", "index"} or spec["index"].dtype != tf.int64:
        raise ValueError(f'batches have {sorted(spec)}, expected "image" and int64 "index"')

    @_as_it_is
    def check(batch):
        return {
            "image": _of_size(batch["image"], batch_size),
            "index": _in_order(batch["index"], batch_size),
        }

    return dataset.map(check)


def _wrong_size(size, batch_size):
    return (
        f"a batch has {size} pictures, batch_size is {batch_size}; make them equal, "
        "with dataset.batch(batch_size, drop_remainder=True)"
    )


def _of_size(pictures, batch_size):
    message = f"{_MARK}{_wrong_size('another number of', batch_size)}"
    check = tf.debugging.assert_equal(tf.shape(pictures)[0], batch_size, message)
    with tf.control_dependencies([check]):
        return tf.ensure_shape(tf.identity(pictures), (batch_size, *pictures.shape[1:]))


def _in_order(index, batch_size):
    message = (
        f"{_MARK}the indices of a batch are not k * {batch_size}, k * {batch_size} + 1, ...: "
        "shuffle the pictures before they are numbered and batched"
    )
    first = index[0] // batch_size * batch_size
    own = first + tf.range(batch_size, dtype=tf.int64)
    check = tf.debugging.assert_equal(index, own, message)
    with tf.control_dependencies([check]):
        return tf.ensure_shape(tf.identity(index), (batch_size,))


def refusal_in(error: Exception) -> str | None:
    """str | None: the sentence of one of the checks in a TensorFlow error, if it is one of them."""
    _, mark, rest = str(error).partition(_MARK)
    return rest.splitlines()[0].split("'")[0].strip() if mark else None  # TensorFlow quotes it
