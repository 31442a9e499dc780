"""Save networks as files that other versions of Keras open."""

import functools
import json
import os
import zipfile
from typing import Any

import keras

from dcgan_tf.common.atomic_write import replacing
from dcgan_tf.common.foreign import open_zip
from dcgan_tf.common.labels import ENTRY, labels_of

# Keys that Keras writes since 3.14 and 3.13 refuses, with the values that every Keras defaults to.
_UNKNOWN_TO_OLDER_KERAS = {"renorm": False, "renorm_clipping": None, "renorm_momentum": 0.99}


def save_network(
    network: keras.Model,
    path: str | os.PathLike[str],
    packed: bool = False,
) -> None:
    """Write a `.keras` file that Keras 3.13 opens as well as the newest, whole or not at all.

    The same network gives the same bytes. The labels of a generator are an entry of the file.

    Args:
        packed: deflate the entries; weights become smaller only if they have few digits.

    Raises:
        ValueError: a batch normalization with renorm, which Keras 3.13 does not have.
    """
    with replacing(path) as temporary:
        network.save(temporary)
        with open_zip(temporary) as archive:
            entries: dict[str, Any] = {name: archive.read(name) for name in archive.namelist()}
        metadata = json.loads(entries["metadata.json"])
        metadata.pop("date_saved", None)
        entries["metadata.json"] = json.dumps(metadata)
        portable = functools.partial(_portable, numbers={})
        config = json.loads(entries["config.json"], object_hook=portable)
        entries["config.json"] = json.dumps(config)
        with zipfile.ZipFile(temporary, "w") as archive:
            if labels := labels_of(network):
                entries[ENTRY] = labels.to_json()
            for name, content in entries.items():
                entry = zipfile.ZipInfo(name)  # always dated 1980
                how = zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED
                archive.writestr(entry, content, how)


def _portable(part: dict[str, Any], numbers: dict[int, int]):
    """Drop the newest keys from a part of config.json, and number shared objects in their order."""
    if "shared_object_id" in part:  # the address of an object, another in each process
        part["shared_object_id"] = numbers.setdefault(part["shared_object_id"], len(numbers))
    if part.get("class_name") == "BatchNormalization":
        for key, default in _UNKNOWN_TO_OLDER_KERAS.items():
            value = part["config"].pop(key, default)
            if value != default:
                raise ValueError(f"cannot save {key}={value!r} in a file that Keras 3.13 opens")
    return part
