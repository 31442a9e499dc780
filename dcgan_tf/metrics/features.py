"""Extract Inception features of images and their statistics, and cache them on disk.

An entry is a folder with `features.npy`, `logits.npy` if the weights reach the softmax,
`statistics.npz` and `entry.json` with their checksums. It is renamed into place when complete; a
damaged one is computed again. Features are memory-mapped, so memory stays bounded.
"""

import contextlib
import hashlib
import io
import json
import logging
import tempfile
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from dcgan_tf.common.atomic_write import whole_folder, write_text
from dcgan_tf.common.errors import is_unreadable
from dcgan_tf.common.files import digest, file_sha256, make_directory, mark_used
from dcgan_tf.common.foreign import read_json, read_npz
from dcgan_tf.metrics.frechet import FeatureStatistics
from dcgan_tf.metrics.inception import Inception

log = logging.getLogger(__name__)

FORMAT = 1
STATISTICS = "statistics.npz"


@dataclass(frozen=True)
class Images:
    """Images that can be read again and again, in order and in bounded memory.

    `read` yields uint8 (n, height, width, channels). `made_by` has all that the images depend on,
    and is part of the key of their cached features.
    """

    name: str
    count: int
    made_by: dict[str, Any]
    read: Callable[[], Iterable[np.ndarray]]


@dataclass(frozen=True)
class FeatureSet:
    """The features of some images."""

    statistics: FeatureStatistics
    features: np.ndarray  # float32 (count, dimensions)
    logits: np.ndarray | None  # float32 (count, 1008)
    pixels_sha256: str
    made_by: dict[str, Any]

    @property
    def count(self) -> int:
        return len(self.features)


def device() -> str:
    """The device that computes features: "GPU" or "CPU"."""
    return "GPU" if tf.config.list_logical_devices("GPU") else "CPU"


def extract(
    images: Images,
    inception: Inception,
    layer: str,
    cache: Path | None,
    progress: Callable[[int], object],
) -> FeatureSet:
    """Compute features of images, or take them from the cache.

    Args:
        layer: "pool_3" or "mixed_7"; the logits are added if the weights have them.
        cache: folder, or None to keep nothing.
        progress: called with the number of images done since the last call.

    Raises:
        OSError: the disk is full, or the cache cannot be written; nothing partial stays.
    """
    layers = (layer, "logits") if "logits" in inception.layers else (layer,)
    if cache is None:
        with tempfile.TemporaryDirectory() as folder:
            _write(Path(folder), images, inception, layers, {}, progress)
            return _read(Path(folder), images, layers, mapped=False)
    key = {
        "format": FORMAT,
        "pictures": images.made_by,
        "count": images.count,
        "layers": {name: inception.weights_hash(name) for name in layers},
        "device": device(),
        "tensorflow": metadata.version("tensorflow"),
    }
    make_directory(cache, "--cache")
    folder = Path(cache) / digest(key)[:32]
    with whole_folder(folder, lambda path: _is_whole(path, layers)) as making:
        if making:
            try:
                _write(making, images, inception, layers, key, progress)
            except OSError as error:  # on a full disk, Python does not name the file
                if error.errno:
                    error.filename = error.filename or str(folder)
                raise
        else:
            progress(images.count)
            mark_used(folder / "entry.json")
    return _read(folder, images, layers, mapped=True)


def _write(
    folder: Path,
    images: Images,
    inception: Any,
    layers: Sequence[str],
    key: dict[str, Any],
    progress: Callable[[int], object],
):
    pixels, statistics = hashlib.sha256(), FeatureStatistics()
    with contextlib.ExitStack() as opened, full_float32():
        files = [opened.enter_context((folder / _file(name)).open("wb")) for name in layers]
        for part in inception.features(_hashed(images.read(), pixels), layers):
            for file, name in zip(files, layers, strict=True):
                if not file.tell():
                    shape = images.count, part[name].shape[1]
                    header = {"descr": "<f4", "fortran_order": False, "shape": shape}
                    np.lib.format.write_array_header_1_0(file, header)
                # Not a mapped write, which would end the process on a full disk.
                file.write(part[name].astype("<f4").tobytes())
            statistics.update(part[layers[0]])
            progress(len(part[layers[0]]))
    if statistics.count != images.count:
        raise ValueError(f"{statistics.count} images came, expected {images.count}")
    mean, factor = statistics.mean, statistics.centered_factor
    whole = io.BytesIO()  # on a full disk, writing a zip raises other errors
    np.savez(whole, count=np.int64(images.count), mean=mean, factor=factor)
    (folder / STATISTICS).write_bytes(whole.getbuffer())
    entry = {
        "recipe": key,
        "pixels_sha256": pixels.hexdigest(),
        "sha256": {name: file_sha256(folder / name) for name in (STATISTICS, *map(_file, layers))},
    }
    write_text(folder / "entry.json", json.dumps(entry, indent=1) + "\n")


def _hashed(batches: Iterable[np.ndarray], sha256: Any):
    for batch in batches:
        sha256.update(np.ascontiguousarray(batch))
        yield batch


def _file(layer: str):
    return "logits.npy" if layer == "logits" else "features.npy"


def _is_whole(folder: Path, layers: Sequence[str]):
    """Whether `folder` has an entry with the right checksums; warn of a damaged one."""
    if not folder.is_dir():
        folder.unlink(missing_ok=True)  # a file in the way
        return False
    try:
        entry = read_json(folder / "entry.json")
        if "pixels_sha256" in entry and "sha256" not in entry:  # of 0.1.0
            return False
        for name in (STATISTICS, *map(_file, layers)):
            if file_sha256(folder / name) != entry["sha256"][name]:
                raise ValueError(f"{name} has another checksum")
        return True
    except Exception as error:  # a damaged file may raise anything
        if is_unreadable(error):
            raise
        log.warning(f"{folder}: damaged ({error or type(error).__name__}); computed again")
        return False


def _read(folder: Path, images: Images, layers: Sequence[str], mapped: bool):
    """Read an entry into a FeatureSet."""
    features, *logits = (np.load(folder / _file(name), "r" if mapped else None) for name in layers)
    arrays = read_npz(folder / STATISTICS, ("count", "mean", "factor"))
    statistics = FeatureStatistics.restore(int(arrays["count"]), arrays["mean"], arrays["factor"])
    pixels_sha256 = read_json(folder / "entry.json")["pixels_sha256"]
    return FeatureSet(
        statistics, features, logits[0] if logits else None, pixels_sha256, images.made_by
    )


@contextlib.contextmanager
def full_float32() -> Generator[None]:
    """Turn off TF32 on GPUs: its 10-bit mantissa changes the third digit of features."""
    before = tf.config.experimental.tensor_float_32_execution_enabled()
    tf.config.experimental.enable_tensor_float_32_execution(False)
    try:
        yield
    finally:
        tf.config.experimental.enable_tensor_float_32_execution(before)
