"""Check a `.keras` file before Keras opens it: its kind, its entries and their size."""

import contextlib
import io
import json
import re
import zipfile
from collections.abc import Generator
from pathlib import Path
from typing import Any

from dcgan_tf.common import limits
from dcgan_tf.common.errors import UserError, is_file_system_error, one_line
from dcgan_tf.common.foreign import check_file, open_zip

EXPANSION = 10  # a file may unpack to this many times its size, as weights compress little,
SMALL_BYTES = 2**29  # or to 512 MiB
CONFIG_JSON_BYTES = 2**24
CONFIG, WEIGHTS = "config.json", "model.weights.h5"
_KINDS = {  # first bytes of other files
    rb"\x89HDF\r\n\x1a\n": "a file in Keras' older format or of weights alone: in "
    'Python, network = keras.saving.load_model("OLD.h5", compile=False), or build the '
    'network and call network.load_weights("OLD.h5"); then network.save("NEW.keras")',
    rb"....TFL3": "a LiteRT (TensorFlow Lite) file",
    rb"\x08[\x01-\x7f]\x12": "an ONNX file",  # its version, then the program that wrote it
    rb"\s*<(!doctype|html)": "a web page",
    rb"\x80[\x02-\x05]": "a pickle, as PyTorch writes",
    rb"\Z": "an empty file",
    rb"[^\0-\x08\x0e-\x1f]*\Z": "a text file",
}


def read_structure(
    path: Path, flag: str, parts: tuple[str, ...] = ()
) -> tuple[dict[str, Any], bytes]:
    """Check a `.keras` file and read its network: the config and the weights, an HDF5 file.

    Losses and optimizers, which may need another program, are left out of the config.

    Args:
        flag: what named the file, for the message.
        parts: names for the wanted network in the file of a whole GAN, the best first.

    Raises:
        UserError: no file, no `.keras` file, a damaged one, or one that would fill the memory.
        OSError: the disk or its connection fails.
    """
    check_file(path, flag, "a .keras file of a trained network")
    with refusing(path, flag):
        with path.open("rb") as file:
            head = file.read(512)
        for pattern, kind in _KINDS.items():
            if re.match(pattern, head, re.DOTALL | re.IGNORECASE):
                raise UserError(f"expected a .keras file, got {kind}")
        with open_zip(path) as archive:
            _check_entries(archive, path.stat().st_size)
            network = json.loads(archive.read(CONFIG), object_hook=_strip_compile)
            weights = archive.read(WEIGHTS)
        if parts and isinstance(part := network["config"].get(parts[-1]), dict):
            network, weights = part, _extract_group(weights, parts)
    return network, weights


@contextlib.contextmanager
def refusing(path: Path, flag: str) -> Generator[None]:
    """Convert an error in the block to a UserError about the file, or that of a failing disk."""
    where = f"{flag} {path}".strip()
    try:
        yield
    except UserError as error:
        raise UserError(error.message, flag=where) from None
    except MemoryError:
        raise
    # zipfile raises NotImplementedError and RuntimeError, json RecursionError, h5py and Keras any.
    except Exception as error:
        if isinstance(error, OSError) and is_file_system_error(error):
            raise OSError(error.errno, error.strerror, str(path)) from None
        message = f"not a Keras model file ({one_line(error)})"
        if unknown := re.search(r"Could not locate (?:class|function) '(.{1,80}?)'", str(error)):
            message = (
                f"needs {unknown[1]!r} of another program; expected Keras' own layers in a "
                "keras.Sequential or keras.Model(inputs, outputs)"
            )
        raise UserError(message, flag=where) from None


def _strip_compile(part: dict[str, Any]):
    part.pop("compile_config", None)
    return part


def _extract_group(weights: bytes, parts: tuple[str, ...]):
    """Copy the first of these groups that exists to an HDF5 file of its own."""
    import h5py

    buffer = io.BytesIO()
    with h5py.File(io.BytesIO(weights), "r") as whole, h5py.File(buffer, "w") as file:
        group: Any = whole[next(name for name in parts if name in whole)]
        for name in group:
            group.copy(name, file)
    return buffer.getvalue()


def _check_entries(archive: zipfile.ZipFile, size: int):
    entries = archive.infolist()
    names = [entry.filename for entry in entries]
    for name in (CONFIG, WEIGHTS):
        if names.count(name) != 1:
            raise UserError(f"not a Keras model file (it has {names.count(name)} {name}, not one)")
    unpacked = sum(entry.file_size for entry in entries)
    if unpacked > min(limits.NETWORK_BYTES, max(SMALL_BYTES, EXPANSION * size)):
        raise UserError(
            f"unpacks to {limits.in_words(unpacked)}, far more than a network in a file of "
            f"{size:,} bytes needs; it is damaged or made to fill the memory"
        )
    if archive.getinfo(CONFIG).file_size > CONFIG_JSON_BYTES:
        raise UserError(f"its {CONFIG} has more than {CONFIG_JSON_BYTES:,} bytes")
