"""Export formats: write each, and run it from the written files alone.

In all but `.keras` the input is called `latents`, float32 (n, latent_dim) with n free, and the
output `pictures`, float32 (n, height, width, channels) in the generator's own range.
"""

import contextlib
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from dcgan_tf.common.errors import UserError, is_file_system_error, one_line
from dcgan_tf.common.streams import hushed
from dcgan_tf.export.pytorch import load_pytorch, write_pytorch
from dcgan_tf.models.loading import load_network
from dcgan_tf.models.onnx_file import INPUT, OUTPUT, to_onnx
from dcgan_tf.models.saving import save_network

Forward = Callable[[np.ndarray], np.ndarray]  # latents to images, both float32


@dataclass(frozen=True)
class Format:
    """One format; `write` takes a model in float32, `load` needs nothing but what it wrote."""

    title: str
    file: str  # or folder
    write: Callable[[keras.Model, Path], None]
    load: Callable[[Path], Forward]
    needs: tuple[str, ...] = ()  # packages of `extra`
    extra: str = ".[onnx]"

    def missing(self) -> str:
        """Say which packages are missing and how to get them; "" if none."""
        absent = " and ".join(name for name in self.needs if not find_spec(name))
        how = f'not installed here; run in the project\'s folder: pip install "{self.extra}"'
        return absent and f"{self.title} needs {absent}, {how}"


def in_tensorflow(model: keras.Model) -> Forward:
    """A Keras model in inference mode, compiled once for any number of latents."""
    serve = _serving(model)
    return lambda latents: serve(tf.constant(latents))[OUTPUT].numpy()


def _serving(model):
    signature = [tf.TensorSpec((None, model.inputs[0].shape[-1]), tf.float32, name=INPUT)]
    return tf.function(
        lambda latents: {OUTPUT: model(latents, training=False)}, signature, autograph=False
    )


def _write_saved_model(model, path):
    # Not Keras' export, which keeps every weight twice and has no say in the names.
    module = tf.Module()
    module.weights = [weight.value for weight in model.weights]
    module.serve = _serving(model)
    with hushed():
        tf.saved_model.save(module, str(path), signatures=module.serve)


def _load_saved_model(path):
    loaded = tf.saved_model.load(str(path))
    return lambda latents: loaded.serve(tf.constant(latents))[OUTPUT].numpy()


def _load_onnx(path):
    onnxruntime = import_module("onnxruntime")
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return lambda latents: session.run([OUTPUT], {INPUT: latents})[0]


def _write_litert(model, path):
    with tempfile.TemporaryDirectory() as folder:
        # The only way in which the converter keeps the weights of Keras 3.
        _write_saved_model(model, Path(folder))
        with hushed():
            content = tf.lite.TFLiteConverter.from_saved_model(folder).convert()
    path.write_bytes(content)


def _load_litert(path):
    """Run it by LiteRT's own package if that is installed, else by TensorFlow's copy."""
    try:
        interpreter = import_module("ai_edge_litert.interpreter").Interpreter
    except ModuleNotFoundError:
        warnings.filterwarnings("ignore", "(?s).*tf.lite.Interpreter is deprecated")
        interpreter = tf.lite.Interpreter
    with hushed():  # it greets at the first call
        run = interpreter(model_content=path.read_bytes()).get_signature_runner()
        length = run.get_input_details()[INPUT]["shape_signature"][1]
        run(**{INPUT: np.zeros((1, length), np.float32)})
    return lambda latents: run(**{INPUT: latents})[OUTPUT]


@contextlib.contextmanager
def refusing(title: str):
    """Turn an error of a converter or reader into one line, except errors of disk or memory."""
    try:
        yield
    except (UserError, MemoryError):
        raise
    except Exception as error:
        if isinstance(error, OSError) and is_file_system_error(error):
            raise
        raise UserError(f"cannot be written as {title} ({one_line(error)})") from None


_ONNX = ("tf2onnx", "onnx", "onnxruntime")
FORMATS = {
    "keras": Format(
        "Keras",
        "generator.keras",
        lambda model, path: save_network(model, path, packed=True),  # digits of it may be few
        lambda path: in_tensorflow(load_network(path)),
    ),
    "saved_model": Format("SavedModel", "saved_model", _write_saved_model, _load_saved_model),
    "onnx": Format("ONNX", "generator.onnx", to_onnx, _load_onnx, _ONNX),
    "pytorch": Format(
        "PyTorch", "pytorch", write_pytorch, load_pytorch, ("torch", "safetensors"), ".[pytorch]"
    ),
    "litert": Format("LiteRT", "generator.tflite", _write_litert, _load_litert),
}
