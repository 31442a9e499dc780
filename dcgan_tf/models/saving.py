"""Save networks as files that other versions of Keras open."""

import json
import os
import zipfile
from typing import Any

import keras

from dcgan_tf.common.atomic_write import replacing
from dcgan_tf.common.foreign import open_zip
from dcgan_tf.common.labels import ENTRY, labels_of

# What Keras writes since 3.14 and 3.13 refuses to read. Without it every Keras takes these values.
_UNKNOWN_TO_OLDER_KERAS = {"renorm": False, "renorm_clipping": None, "renorm_momentum": 0.99}


def save_network(
    network: keras.Model,
    path: str | os.PathLike[str],
    beside: dict[str, str] | None = None,
    packed: bool = False,
) -> None:
    """Write a `.keras` file that Keras 3.13 opens as well as the newest, whole or not at all.

    The same network gives the same bytes: no date is in the file, and no address of an object. The
    labels of a generator are an entry of the file.

    Args:
        beside: {name: text} of further entries in the file, which Keras ignores.
        packed: deflate the entries; it makes weights smaller only if they have few digits.

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
        config = json.loads(entries["config.json"])
        entries["config.json"] = json.dumps(_portable(config, shared={}))
        with zipfile.ZipFile(temporary, "w") as archive:
            if labels := labels_of(network):
                entries[ENTRY] = labels.to_json()
            for name, content in (entries | (beside or {})).items():
                entry = zipfile.ZipInfo(name)  # of 1980, always
                how = zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED
                archive.writestr(entry, content, how)


def _portable(part: Any, shared: dict[int, int]):
    """Leave the newest keys out of config.json, and number shared objects as they come."""
    if isinstance(part, list):
        return [_portable(item, shared) for item in part]
    if not isinstance(part, dict):
        return part
    portable = {key: _portable(value, shared) for key, value in part.items()}
    if "shared_object_id" in part:
        portable["shared_object_id"] = shared.setdefault(part["shared_object_id"], len(shared))
    if part.get("class_name") == "BatchNormalization":
        for key, default in _UNKNOWN_TO_OLDER_KERAS.items():
            value = portable["config"].pop(key, default)
            if value != default:
                raise ValueError(f"cannot save {key}={value!r} in a file that Keras 3.13 opens")
    return portable
