"""What a `.keras` file would become in memory, found out before Keras opens it. No TensorFlow."""

import io
import json
from pathlib import Path

from dcgan_tf.common import limits
from dcgan_tf.common.errors import UserError, one_line
from dcgan_tf.common.foreign import check_file, open_zip

CONFIG, WEIGHTS = "config.json", "model.weights.h5"


def read_structure(path: Path, flag: str) -> tuple[dict, int]:
    """Check a `.keras` file and read what describes its network.

    Args:
        path: the file; flag: what named it, for the message.

    Returns:
        The network's config as Keras serialises it, and the bytes of its weights.

    Raises:
        UserError: no file, no `.keras` file, a damaged one, or one that would fill the memory.
    """
    check_file(path, flag, "a .keras file of a trained network")
    where = f"{flag} {path}".strip()
    try:
        with open_zip(path) as archive:
            _check_entries(archive, path.stat().st_size)
            config = json.loads(archive.read(CONFIG))
            weights = archive.read(WEIGHTS)
        return config, _weights_bytes(weights)
    except UserError as error:
        raise UserError(error.message, flag=where) from None
    # zipfile raises NotImplementedError and RuntimeError too, json RecursionError, h5py almost any.
    except Exception as error:
        raise UserError(f"not a Keras model file ({one_line(error)})", flag=where) from None


def _check_entries(archive, size):
    entries = archive.infolist()
    names = [entry.filename for entry in entries]
    for name in (CONFIG, WEIGHTS):
        if names.count(name) != 1:
            raise UserError(f"not a Keras model file (it has {names.count(name)} {name}, not one)")
    unpacked = sum(entry.file_size for entry in entries)
    _check_claim(unpacked, size, "unpacks to")
    if archive.getinfo(CONFIG).file_size > limits.CONFIG_JSON_BYTES:
        raise UserError(f"its {CONFIG} has more than {limits.CONFIG_JSON_BYTES:,} bytes")


def _check_claim(claimed, size, words):
    if limits.unpacks_to_too_much(claimed, size):
        raise UserError(
            f"{words} {limits.in_words(claimed)}, far more than a network in a file of "
            f"{size:,} bytes needs; it is damaged or made to fill the memory"
        )


def _weights_bytes(content):
    """int: bytes of all arrays; what lies in other files or is computed is refused."""
    import h5py  # slow to import, and --help needs none of it

    total = 0

    def visit(name, link):
        """str | None: the name of what lies elsewhere, which ends the visit."""
        nonlocal total
        if not isinstance(link, h5py.HardLink):
            return name
        found = file[name]
        if isinstance(found, h5py.Dataset):
            if found.external or found.is_virtual:
                return name
            total += found.size * found.dtype.itemsize
        return None

    with h5py.File(io.BytesIO(content), "r") as file:
        elsewhere = file.visititems_links(visit)
    if elsewhere:
        raise UserError(f"{elsewhere} of its weights lies in another place; save it again")
    _check_claim(total, len(content), "its weights claim")
    return total
