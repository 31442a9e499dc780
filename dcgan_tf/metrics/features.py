"""From pictures to Inception features and their statistics, kept on disk under a key of all that
matters.

An entry is a folder with `features.npy`, `logits.npy` where the softmax is there, `statistics.npz`
and `entry.json`; it appears by one rename when it is whole. Features are mapped from disk, never
loaded whole, so memory stays bounded at any count.
"""

import contextlib
import hashlib
import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import numpy as np
import tensorflow as tf

from dcgan_tf.common.files import digest, make_directory, mark_used, whole_folder, write_text
from dcgan_tf.metrics.frechet import FeatureStatistics

FORMAT = 1  # part of the key


@dataclass(frozen=True)
class FeatureSet:
    """The features of some pictures.

    Attributes:
        statistics: frechet.FeatureStatistics.
        features: float32 (count, dimensions); logits: float32 (count, 1008) or None.
        pixels_sha256: of the pictures, in order.
        made_by: Pictures.made_by.
    """

    statistics: FeatureStatistics
    features: np.ndarray
    logits: np.ndarray | None
    pixels_sha256: str
    made_by: dict

    @property
    def count(self):
        return len(self.features)


def device():
    """str: "GPU" or "CPU", where features are computed."""
    return "GPU" if tf.config.list_logical_devices("GPU") else "CPU"


def extract(pictures, inception, layer, cache, progress):
    """Features of pictures, from the cache if they are there.

    Args:
        pictures: reals.Pictures.
        inception: inception.Inception, or anything with its `layers`, `weights_hash`, `features`.
        layer: "pool_3" or "mixed_7"; the logits come along where the weights have them.
        cache: folder, or None to keep nothing.
        progress: called with the number of pictures done since the last call.

    Returns:
        FeatureSet.
    """
    layers = (layer, "logits") if "logits" in inception.layers else (layer,)
    if cache is None:
        with tempfile.TemporaryDirectory() as folder:
            _write(Path(folder), pictures, inception, layers, {}, progress)
            return _read(Path(folder), pictures, layers, mapped=False)
    recipe = {
        "format": FORMAT,
        "pictures": pictures.made_by,
        "count": pictures.count,
        "layers": {name: inception.weights_hash(name) for name in layers},
        "device": device(),
        "tensorflow": metadata.version("tensorflow"),
    }
    make_directory(cache, "--cache")
    folder = Path(cache) / digest(recipe)[:32]
    with whole_folder(folder, lambda path: _is_whole(path, pictures, layers)) as making:
        if making:
            _write(making, pictures, inception, layers, recipe, progress)
        else:
            progress(pictures.count)
            mark_used(folder / "entry.json")
    return _read(folder, pictures, layers, mapped=True)


def _is_whole(folder, pictures, layers):
    try:
        entry = json.loads((folder / "entry.json").read_text(encoding="utf-8"))
        for name in layers:
            shape = np.load(folder / _file(name), mmap_mode="r").shape
            if shape != (pictures.count, entry["dimensions"][name]):
                return False
        return (folder / "statistics.npz").is_file()
    except (OSError, ValueError, KeyError, EOFError):
        return False


def _file(layer):
    return "logits.npy" if layer == "logits" else "features.npy"


def _write(folder, pictures, inception, layers, recipe, progress):
    """Extract into `folder`. Pictures are made and the network runs in threads of their own while
    the statistics are updated here."""
    sha256, statistics, done, arrays = hashlib.sha256(), FeatureStatistics(), 0, {}

    def batches():
        for batch in pictures.read():
            sha256.update(np.ascontiguousarray(batch))
            yield batch

    with _full_float32():
        for part in inception.features(batches(), layers):
            count = len(part[layers[0]])
            for name in layers:
                if name not in arrays:
                    shape = (pictures.count, part[name].shape[1])
                    arrays[name] = np.lib.format.open_memmap(
                        folder / _file(name), "w+", np.float32, shape
                    )
                arrays[name][done : done + count] = part[name]
            statistics.update(part[layers[0]])
            done += count
            progress(count)
    if done != pictures.count:
        raise ValueError(f"{done} pictures came, expected {pictures.count}")
    for array in arrays.values():
        array.flush()
    np.savez(folder / "statistics.npz", **statistics.state())
    entry = {
        "recipe": recipe,
        "pixels_sha256": sha256.hexdigest(),
        "dimensions": {name: array.shape[1] for name, array in arrays.items()},
    }
    write_text(folder / "entry.json", json.dumps(entry, indent=1) + "\n")


def _read(folder, pictures, layers, mapped):
    mode = "r" if mapped else None
    entry = json.loads((folder / "entry.json").read_text(encoding="utf-8"))
    with np.load(folder / "statistics.npz") as state:
        statistics = FeatureStatistics.from_state(state)
    logits = np.load(folder / _file("logits"), mode) if "logits" in layers else None
    features = np.load(folder / _file(layers[0]), mode)
    return FeatureSet(statistics, features, logits, entry["pixels_sha256"], pictures.made_by)


@contextlib.contextmanager
def _full_float32():
    """A GPU's TF32 has 10 bits of mantissa: features would differ from a CPU's in the 3rd digit."""
    before = tf.config.experimental.tensor_float_32_execution_enabled()
    tf.config.experimental.enable_tensor_float_32_execution(False)
    try:
        yield
    finally:
        tf.config.experimental.enable_tensor_float_32_execution(before)


@dataclass(frozen=True)
class Pictures:
    """Pictures that can be read again and again, in order and in bounded memory.

    Attributes:
        name: what they are, in words.
        count: how many.
        made_by: dict of what they depend on; the key of their cached features.
        read: called without arguments, yields uint8 (n, height, width, channels).
    """

    name: str
    count: int
    made_by: dict
    read: Callable
