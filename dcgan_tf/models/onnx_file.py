"""Write a generator as an ONNX file."""

import logging
import os
from importlib import import_module
from pathlib import Path

import keras
import tensorflow as tf

from dcgan_tf.common.atomic_write import replacing
from dcgan_tf.common.errors import UserError, not_installed, one_line
from dcgan_tf.common.streams import hushed
from dcgan_tf.models.loading import in_float32

INPUT, OUTPUT = "latents", "pictures"
OPSET = 15  # from 2021: all runtimes have it, and no layer here needs a newer one


def to_onnx(generator: keras.Model, path: str | os.PathLike[str]) -> None:
    """Write a generator in inference mode as ONNX, whole or not at all.

    The file takes `latents`, float32 (n, latent_dim), and gives `pictures`, float32 (n, height,
    width, channels) in the range of the generator's own output. UserError if a package is missing,
    or for a layer that ONNX cannot express.
    """
    tf2onnx, onnx = _packages()
    generator = in_float32(generator)
    length = generator.inputs[0].shape[-1]
    signature = [tf.TensorSpec((None, length), tf.float32, name=INPUT)]

    # Keras' export fails on a model that was never called, and chooses the names itself.
    @tf.function(autograph=False)
    def forward(latents: tf.Tensor):
        return {OUTPUT: generator(latents, training=False)}

    try:
        with hushed():  # the graph optimizer prints there
            model, _ = tf2onnx.convert.from_function(forward, signature, opset=OPSET)
        model.graph.name = "generator"
        for end in (model.graph.input[0], model.graph.output[0]):
            end.type.tensor_type.shape.dim[0].dim_param = "n"
        # tf2onnx leaves operations that it cannot express in the graph.
        onnx.checker.check_model(model, full_check=True)
    except MemoryError:
        raise
    except Exception as error:  # both raise many kinds
        raise UserError(f"cannot be written as ONNX ({one_line(error)})") from None
    with replacing(path) as temporary:
        Path(temporary).write_bytes(model.SerializeToString())


def _packages():
    level = os.environ.get("TF_CPP_MIN_LOG_LEVEL")
    try:
        onnx, tf2onnx = import_module("onnx"), import_module("tf2onnx")
        import_module("tf2onnx.convert")  # which sets the level
    except ModuleNotFoundError as error:
        raise not_installed(str(error.name), "onnx") from None
    finally:
        if level is not None:
            os.environ["TF_CPP_MIN_LOG_LEVEL"] = level
    logging.getLogger("tf2onnx").setLevel(logging.ERROR)
    return tf2onnx, onnx
