"""Export formats: how each is written, and run from the written files alone.

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

from dcgan_tf.common.atomic_write import replacing
from dcgan_tf.common.errors import UserError, is_file_system_error, one_line
from dcgan_tf.common.streams import hushed
from dcgan_tf.models.loading import load_network
from dcgan_tf.models.onnx_file import INPUT, OUTPUT, to_onnx
from dcgan_tf.models.saving import save_network

Forward = Callable[[np.ndarray], np.ndarray]  # latents to pictures, both float32


@dataclass(frozen=True)
class Format:
    """One format.

    Attributes:
        title: its name for people; file: the file or folder that is written.
        write: of a keras.Model in float32 and a path; a UserError where the format cannot hold it.
        load: of that path, the function that makes pictures with nothing but what is there.
        needs: packages that TensorFlow does not bring; extra: the one of pyproject.toml with them.
    """

    title: str
    file: str
    write: Callable[[keras.Model, Path], None]
    load: Callable[[Path], Forward]
    needs: tuple[str, ...] = ()
    extra: str = ""

    def missing(self) -> str:
        """Why it cannot be written here and what to do, "" where it can."""
        absent = [name for name in self.needs if not _is_installed(name)]
        if not absent:
            return ""
        return (
            f"{self.title} needs {' and '.join(absent)}, not installed here; run in the project's "
            f'folder: pip install ".[{self.extra}]"'
        )


def _is_installed(name):
    try:
        return find_spec(name) is not None
    except ValueError:  # a module that was put in its place without a spec
        return False


def in_tensorflow(model: keras.Model) -> Forward:
    """A network of Keras in inference mode, compiled once for any number of latents."""
    signature = [tf.TensorSpec((None, model.inputs[0].shape[-1]), tf.float32)]
    forward = tf.function(
        lambda latents: model(latents, training=False), signature, autograph=False
    )
    return lambda latents: forward(tf.constant(latents)).numpy()


def _write_keras(model, path):
    save_network(model, path, packed=True)  # those that come with the package have few digits


def _load_keras(path):
    return in_tensorflow(load_network(path))


def _write_saved_model(model, path):
    signature = [tf.TensorSpec((None, model.inputs[0].shape[-1]), tf.float32, name=INPUT)]
    # Not Keras' export, which keeps every weight twice and has no say in the names.
    module = tf.Module()
    module.weights = [weight.value for weight in model.weights]
    module.serve = tf.function(
        lambda latents: {OUTPUT: model(latents, training=False)}, signature, autograph=False
    )
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
        # The only way on which the converter keeps the weights of Keras 3.
        _write_saved_model(model, Path(folder))
        with hushed():
            content = tf.lite.TFLiteConverter.from_saved_model(folder).convert()
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def _load_litert(path):
    with hushed():  # it greets
        run = _interpreter()(model_content=path.read_bytes()).get_signature_runner()
        run(**{INPUT: np.zeros((1, _length(run)), np.float32)})
    return lambda latents: run(**{INPUT: latents})[OUTPUT]


def _interpreter():
    """LiteRT's interpreter: of its own package where that is installed, else TensorFlow's copy."""
    try:
        return import_module("ai_edge_litert.interpreter").Interpreter
    except ModuleNotFoundError:
        warnings.filterwarnings("ignore", "(?s).*tf.lite.Interpreter is deprecated")
        return tf.lite.Interpreter


def _length(run):
    return run.get_input_details()[INPUT]["shape_signature"][1]


@contextlib.contextmanager
def refusing(title: str):
    """What a converter, or the library that reads its file back, raises as one line; a disk or a
    memory that fails stays what it is."""
    try:
        yield
    except (UserError, MemoryError):
        raise
    except Exception as error:
        if isinstance(error, OSError) and is_file_system_error(error):
            raise
        raise UserError(f"cannot be written as {title} ({one_line(error)})") from None


FORMATS = {
    "keras": Format("Keras", "generator.keras", _write_keras, _load_keras),
    "saved_model": Format("SavedModel", "saved_model", _write_saved_model, _load_saved_model),
    "onnx": Format(
        "ONNX", "generator.onnx", to_onnx, _load_onnx, ("tf2onnx", "onnx", "onnxruntime"), "onnx"
    ),
    "litert": Format("LiteRT", "generator.tflite", _write_litert, _load_litert),
}
