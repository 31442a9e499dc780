"""Write a generator for PyTorch: generator.safetensors, and generator.py, which draws with it."""

import re
import runpy
from importlib import import_module
from pathlib import Path

import keras
import numpy as np

from dcgan_tf.common.atomic_write import write_text
from dcgan_tf.common.errors import UserError
from dcgan_tf.common.labels import ENTRY, labels_of
from dcgan_tf.common.pages import fill
from dcgan_tf.models.chain import chain_of
from dcgan_tf.models.pixels import range_of

EPSILON = 1e-5  # PyTorch's default for BatchNorm
PLAIN = (None, 0, 0)  # a ReLU's limit, which few latents may reach, and its slope and threshold
# What labels add to the script. What LABEL leaves open is as in a training image.
_LABEL = {
    "label": "[--label LABEL] ",
    "json": "import json\n",
    "first": "3 if label else 1 ",
    "read_label": """\
    label = sys.argv[2] if sys.argv[1:2] == ["--label"] else ""
    labels = json.loads(Path(__file__).with_name("labels.json").read_text())
    names, drawn = labels["names"], labels["drawn"]
""",
}
_ADD_CLASS = """\
        chosen = names.index(label) if label else drawn[seed % len(drawn)]
        latents = np.append(latents, np.eye(len(names))[chosen])
"""
_ADD_ATTRIBUTES = """\
        bits = [drawn[seed % len(drawn)] >> k & 1 for k in range(len(names))]
        for name, bit in (part.strip().rsplit("=", 1) for part in label.split(",") if part):
            bits[names.index(name)] = ["0", "1"].index(bit)
        latents = np.append(latents, bits)
"""
_STATISTICS = ("weight", "bias", "running_mean", "running_var")


def write_pytorch(model: keras.Model, folder: Path):
    """Write both files. UserError: a layer that the script does not know."""
    layers, state = _translate(model)
    listed = ", ".join(f"nn.{layer}" for layer in layers)
    tanh = range_of(model) == "tanh"
    height, width, channels = (str(int(size)) for size in model.output_shape[1:])
    length, labels = int(model.inputs[0].shape[-1]), labels_of(model)
    parts = {
        "latent_dim": str(length),
        **_label_parts(length, labels),
        **{"height": height, "width": width, "channels": channels},
        "range": "-1 to 1" if tanh else "0 to 1",
        "to_unit": "(image + 1) / 2" if tanh else "image",
        "layers": re.sub(r", (nn\.(Conv|Flatten|Unflatten))", r",\n    \1", f"    {listed},"),
    }
    template = Path(__file__).with_name("generator_script.txt").read_text(encoding="utf-8")
    folder.mkdir()
    if labels:
        write_text(folder / ENTRY, labels.to_json())
    content = import_module("safetensors.numpy").save(state)
    (folder / "generator.safetensors").write_bytes(content)
    write_text(folder / "generator.py", fill(template, parts).decode())


def _label_parts(length, labels):
    if not labels:
        own = {"normal_dim": str(length), "add_label": "", "first": "1"}
        return dict.fromkeys(_LABEL, "") | own
    add = _ADD_CLASS if labels.classes else _ADD_ATTRIBUTES
    return {"normal_dim": str(length - labels.n), "add_label": add} | _LABEL


def load_pytorch(folder: Path):
    """Run generator.py for a function of latents, which returns images in the order of Keras."""
    torch = import_module("torch")
    generator = runpy.run_path(str(folder / "generator.py"))["generator"]

    def forward(latents):
        with torch.no_grad():
            images = generator(torch.from_numpy(latents)[:, :, None, None])
        return images.permute(0, 2, 3, 1).numpy()

    return forward


def _translate(model):
    """List PyTorch's layers as code, and {name: array} of their weights.

    Without a bias Keras' Dense and Reshape are a ConvTranspose2d, as in pytorch/examples. A Dense
    has a bias for each place of the map, which a convolution has not. Values become numbers.
    """
    layers, state, dense = [], {}, []

    def add(code, *arrays, names=_STATISTICS):
        for name, array in zip(names, arrays, strict=False):
            state[f"main.{len(layers)}.{name}"] = np.ascontiguousarray(array, np.float32)
        layers.append(code)

    for layer in chain_of(model) or [model]:
        weights, kind = layer.get_weights(), type(layer).__name__
        if kind == "Dense" and not layers:
            dense = weights
        elif kind == "Reshape" and dense and not layers:
            height, width, channels = map(int, layer.target_shape)
            kernel = dense[0].reshape(-1, height, width, channels).transpose(0, 3, 1, 2)
            length = len(kernel)
            if len(dense) == 1 and height == width:
                add(f"ConvTranspose2d({length}, {channels}, {height}, 1, 0, bias=False)", kernel)
            else:
                bias = [b.reshape(height, width, -1).transpose(2, 0, 1).ravel() for b in dense[1:]]
                kernel = kernel.reshape(length, -1).T
                add("Flatten()")
                add(f"Linear({length}, {len(kernel)}, bias={bool(bias)})", kernel, *bias)
                add(f"Unflatten(1, ({channels}, {height}, {width}))")
        elif kind == "BatchNormalization" and len(weights) == 4:  # with scale and center
            # Our epsilon is part of the variance, so the layer has PyTorch's default one.
            weights[3] = weights[3] + np.float32(layer.epsilon - EPSILON)
            add(f"BatchNorm2d({len(weights[3])})", *weights)
        elif kind in ("Conv2D", "Conv2DTranspose"):
            kernel = weights[0].transpose(3, 2, 0, 1)
            (size, _), (stride, _) = layer.kernel_size, layer.strides
            padding = (size - stride) // 2 if "Transpose" in kind else (size - 1) // 2
            name = "ConvTranspose2d" if "Transpose" in kind else "Conv2d"
            ends = kernel.shape[:2] if "Transpose" in kind else kernel.shape[1::-1]
            sizes = ", ".join(str(int(size)) for size in (*ends, size, stride, padding))
            add(f"{name}({sizes}, bias={bool(layer.use_bias)})", kernel, *weights[1:])
            if "Transpose" in kind and (size - stride) % 2:  # Keras crops one more at the end
                add("ZeroPad2d((0, -1, 0, -1))")
        elif kind == "LeakyReLU":
            add(f"LeakyReLU({float(layer.negative_slope)})")
        elif kind == "ReLU" and (layer.max_value, layer.negative_slope, layer.threshold) == PLAIN:
            add("ReLU()")
        elif kind == "Activation" and layer.activation.__name__ in ("sigmoid", "tanh"):
            add(f"{layer.activation.__name__.capitalize()}()")
        else:
            raise UserError(f"cannot be written as PyTorch: its layer {layer.name} ({kind})")
    return layers, state
