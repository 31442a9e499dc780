"""Read G and D of pytorch/examples' DCGAN, or of networks of its plan, from PyTorch's files.

In that plan G is a ConvTranspose2d without stride, then 4x4 ConvTranspose2d that double the side,
all but the last with BatchNorm2d and ReLU. D has 4x4 Conv2d that halve the side, all but the first
with BatchNorm2d, then a Conv2d to the logit. Names, widths and biases are free.
"""

import re
from collections.abc import Sequence
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np

from dcgan_tf.common import limits
from dcgan_tf.common.errors import UserError, not_installed, one_line
from dcgan_tf.common.foreign import check_file, open_regular, open_zip

STATE_BYTES = 2**31  # of a file; networks of this plan have megabytes
G_EXAMPLE = [(100, 512, 4, 4), (512, 256, 4, 4), (256, 128, 4, 4), (128, 64, 4, 4), (64, 3, 4, 4)]
D_EXAMPLE = [(64, 3, 4, 4), (128, 64, 4, 4), (256, 128, 4, 4), (512, 256, 4, 4), (1, 512, 4, 4)]
PLAN: dict[str, Any] = {  # its settings, apart from sizes
    **{"width": 1.0, "d_width": 0.0, "base_batchnorm": True, "d_first_batchnorm": False},
    **{"g_activation": "relu", "g_output": "transposed", "output_activation": "tanh"},
    **{"d_norm": "batch", "d_minibatch_std": 0, "d_hidden": 0, "kernel_size": 4},
    **{"leaky_slope": 0.2, "batchnorm_momentum": 0.9, "batchnorm_epsilon": 1e-5, "networks": ""},
}
_NORM = ("weight", "bias", "running_mean", "running_var")  # in Keras' order


def read_settings(files: Sequence[Path], flag: str) -> dict[str, Any]:
    """Read the settings that describe the networks in the files of G and D.

    Raises:
        UserError: no state dictionaries, or of another plan; the message has both lists of shapes.
    """
    states = [_read(path, flag) for path in files]
    (g, biases, _), (d, *_) = map(_split, states)
    g, d = [kernel.shape for kernel in g], [kernel.shape for kernel in d]
    if len(g) < 3 or len(d) < 2:  # nothing to compute the expected shapes from
        g, d = G_EXAMPLE, D_EXAMPLE
    latent_dim, _, base = g[0][:3]
    image_size = base * 2 ** (len(g) - 1)
    widths, d_widths = [shape[1] for shape in g], [shape[0] for shape in d[:-1]]
    g = [(latent_dim, widths[0], base, base), *((*pair, 4, 4) for pair in pairwise(widths))]
    last = image_size >> len(d_widths)
    d = [(out, size, 4, 4) for size, out in pairwise([widths[-1], *d_widths])]
    d.append((1, d_widths[-1], last, last))
    expected = _describe(g, widths[:-1], bool(biases)), _describe(d, d_widths[1:], bool(biases))
    for path, state, plan in zip(files, states, expected, strict=True):
        kernels, biases, norms = _split(state)
        shapes = [kernel.shape for kernel in kernels]
        found = _describe(shapes, [len(norm[0]) for norm in norms], bool(biases))
        left = len(state) - len(kernels) - len(biases) - 4 * len(norms)
        if left or found != plan or len(biases) not in (0, len(kernels)):
            others = f", {left} other tensors" if left else ""
            raise UserError(
                f"not of the plan of pytorch/examples' DCGAN: it has {found}{others}; "
                f"expected {plan}",
                flag=f"{flag} {path}",
            )
    return PLAN | {
        **{"latent_dim": latent_dim, "base_size": base, "base_channels": widths[0]},
        **{"g_channels": widths[1:-1], "d_channels": d_widths, "channels": widths[-1]},
        **{"image_size": image_size, "use_bias": bool(biases)},
    }


def read_weights(path: Path, generator: bool, flag: str) -> list[np.ndarray]:
    """Read the weights of G or D in the order of our network of that plan.

    All kernels of PyTorch have the axes of Keras' in reverse, rows and columns apart. Our flat
    maps are (rows, columns, channels).
    """
    kernels, biases, norms = _split(_read(path, flag))
    first = 0 if generator else 1  # layer with BatchNorm
    weights = []
    for number, kernel in enumerate(kernels):
        bias, norm = biases[number : number + 1], []
        if 0 <= number - first < len(norms):
            norm = norms[number - first]
        if generator and number == 0:
            bias = [np.tile(values, kernel[0, 0].size) for values in bias]
            kernel = kernel.transpose(0, 2, 3, 1).reshape(len(kernel), -1)
        else:
            kernel = kernel.transpose(2, 3, 1, 0)
        if not generator and number == len(kernels) - 1:
            kernel = kernel.reshape(-1, 1)
        weights += [kernel, *bias, *norm]
    return weights


def _split(state):
    """Kernels, their biases, and _NORM of each BatchNorm; each in the order of the layers."""
    modules: dict[str, dict[str, np.ndarray]] = {}
    for name, array in state.items():
        module, _, leaf = name.rpartition(".")
        modules.setdefault(module, {})[leaf] = array
    layers = [module for module in modules.values() if module.get("weight", np.ones(0)).ndim == 4]
    norms = [module for module in modules.values() if module.keys() == set(_NORM)]
    norms = [norm for norm in norms if all(array.ndim == 1 for array in norm.values())]
    return (
        [layer["weight"] for layer in layers],
        [layer["bias"] for layer in layers if "bias" in layer],
        [[norm[leaf] for leaf in _NORM] for norm in norms],
    )


def _describe(kernels, norms, biases):
    shapes = " ".join("x".join(map(str, shape)) for shape in kernels)
    norms = " ".join(map(str, norms))
    return f"kernels {shapes or '-'}, BatchNorm {norms or '-'}, {'' if biases else 'no '}biases"


def _read(path, flag):
    """Read {name: float32 array} in the order of the layers; no code in the file is executed."""
    where = f"{flag} {path}"
    check_file(path, flag, "a state dictionary of PyTorch")
    try:
        _check_bytes(path.stat().st_size)
        if path.suffix.lower() == ".safetensors":
            library = import_module("safetensors.numpy")
            import_module("ml_dtypes")  # with which NumPy knows bfloat16
            state = library.load_file(path)
            # It has an order of its own: the numbers in the names tell that of the layers.
            state = {name: state[name] for name in sorted(state, key=_numbers_in)}
        else:
            state = _load_with_torch(path, where)
        kept = [name for name in state if not name.endswith("num_batches_tracked")]
        return {name: np.asarray(state[name], np.float32) for name in kept}
    except (MemoryError, UserError):
        raise
    except ModuleNotFoundError as error:
        raise not_installed(str(error.name), "pytorch", where) from None
    except Exception as error:  # both libraries raise many kinds
        raise UserError(f"not a state dictionary ({one_line(error)})", flag=where) from None


def _load_with_torch(path, where):
    torch = import_module("torch")
    if tuple(map(int, re.findall(r"\d+", torch.__version__)[:2])) < (2, 6):  # CVE-2025-32434
        words = "this PyTorch can run code in it; use PyTorch 2.6 or newer, or .safetensors"
        raise UserError(words, flag=where)
    with open_regular(path) as file:
        if file.read(2) == b"PK":  # files of before 2020 are no zips; PyTorch goes by this, too
            with open_zip(file) as archive:
                entries = archive.infolist()
            if packed := [e.filename for e in entries if e.compress_type]:
                raise ValueError(f"its {packed[0]} is compressed")
            _check_bytes(sum(entry.file_size for entry in entries))
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except UnpicklingError:  # whose text advises to run what it holds
        words = "it is damaged, or holds more than tensors, as a whole network does"
        raise ValueError(f"{words}; save its state_dict()") from None
    if others := [name for name, value in state.items() if not hasattr(value, "numel")]:
        raise ValueError(f"its {others[0]} is no tensor; save the state_dict() of one network")
    _check_bytes(sum(4 * tensor.numel() for tensor in state.values()))  # one value can be many
    return {name: tensor.detach().float().numpy() for name, tensor in state.items()}


def _check_bytes(count):
    if count > STATE_BYTES:
        raise ValueError(f"larger than {limits.in_words(STATE_BYTES)}")


def _numbers_in(name):
    return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", name)]
