"""From JPEG files to batches for the model: ours against what a user would write instead.

    python tests/benchmarks/input.py [--batches 16] [--batch-size 128]
    taskset -c 0 python tests/benchmarks/input.py        # on one core

The images are faces that are drawn first, JPEGs of 178x218 as CelebA's. The first table is the work
that is done once: decode them, cut out their middle square and shrink it to 64x64; decoding alone
is the limit. The second is an epoch, shuffled over all images: we read the pack, the others do all
again, unless they keep the images in memory ("cached").
"""

import contextlib
import functools
import io
import itertools
import logging
import os
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import turns

SIZE = 64
EPOCHS = 20  # in one turn, of what reads from memory
CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def draw(folder, count):
    """Write so many JPEG files."""
    from dcgan_tf.common.images import encode
    from dcgan_tf.data.synthetic import draw_face

    folder.mkdir()
    for index in range(count):
        jpeg = encode(draw_face(index), "JPEG", quality=92)
        (folder / f"{index:06}.jpg").write_bytes(jpeg)


def paths(arguments):
    return sorted(map(str, Path(arguments.folder, "jpegs").iterdir()))


def epoch_of(batches, pixels_of, count=1):
    """(facts, turn) of a function that returns an iterable of an epoch's batches.

    `pixels_of` makes a batch numbers of 0 to 255, (n, height, width, channels); `count` epochs make
    a turn.
    """
    arrays = [np.asarray(pixels_of(batch)) for batch in batches()]
    images = sum(map(len, arrays))

    def turn():
        for _ in range(count):
            seen = sum(1 for _ in batches())
        return count * images * seen // len(arrays)

    mean = float(np.mean([array.mean(dtype=float) for array in arrays]))
    return {"images": images, "shapes": {array.shape for array in arrays}, "mean": mean}, turn


# To the pack


def pack_of(arguments):
    """Make a pack.Pack of the JPEGs, in a new folder of packs."""
    from dcgan_tf.data.pack import open_pack
    from dcgan_tf.data.sources import open_source
    from dcgan_tf.train.command import parse_training

    packs = tempfile.mkdtemp(dir=arguments.folder)
    flags = ["--dataset", "folder", "--data", f"{arguments.folder}/jpegs", "--packs", packs]
    config = parse_training(flags).config
    return open_pack(config, open_source(config))


def prepare_pack(arguments):
    turns.tensorflow()
    pixels = pack_of(arguments).pixels
    facts = {"images": len(pixels), "mean": float(pixels.mean(dtype=float))}
    return facts, lambda: len(pack_of(arguments).pixels)


def prepare_pillow_decode(arguments):
    """Pillow's libjpeg-turbo alone; it lets other threads run while it decodes."""
    from PIL import Image

    files = [Path(path).read_bytes() for path in paths(arguments)]
    pool = ThreadPoolExecutor(CORES)

    def decode(encoded):
        Image.open(io.BytesIO(encoded)).load()

    return {"images": len(files)}, lambda: len(list(pool.map(decode, files)))


def prepare_tf_decode(arguments):
    """TensorFlow's libjpeg-turbo alone, of the middle square alone."""
    tf = turns.tensorflow()
    files = [Path(path).read_bytes() for path in paths(arguments)]

    def decode(encoded):
        height, width = tf.unstack(tf.io.extract_jpeg_shape(encoded)[:2])
        side = tf.minimum(height, width)
        window = tf.stack([(height - side) // 2, (width - side) // 2, side, side])
        return tf.reduce_max(tf.io.decode_and_crop_jpeg(encoded, window, channels=3))

    dataset = tf.data.Dataset.from_tensor_slices(files).map(decode, tf.data.AUTOTUNE).batch(128)
    return {"images": len(files)}, lambda: sum(len(batch) for batch in dataset)


# To the model


def prepare_batches(arguments):
    turns.tensorflow()
    from dcgan_tf.data.pipeline import batches

    found = iter(batches(pack_of(arguments).pixels, batch_size=arguments.batch_size, seed=0))

    def epoch():  # the next one: they have no end
        return itertools.islice(found, arguments.batches)

    return epoch_of(epoch, lambda batch: batch["image"], EPOCHS)


def square(tf, pixels):
    """float32 (64, 64, 3) in [0, 1]: the middle square, shrunk."""
    height, width = tf.shape(pixels)[0], tf.shape(pixels)[1]
    side = tf.minimum(height, width)
    pixels = tf.image.resize_with_crop_or_pad(pixels, side, side)
    return tf.ensure_shape(tf.image.resize(pixels, (SIZE, SIZE), antialias=True) / 255, (64, 64, 3))


def prepare_files(arguments, cached=False):
    tf = turns.tensorflow()
    files = paths(arguments)

    def read(path):
        return square(tf, tf.io.decode_jpeg(tf.io.read_file(path), 3))

    dataset = tf.data.Dataset.from_tensor_slices(files)
    if cached:
        dataset = dataset.map(read, tf.data.AUTOTUNE).cache().shuffle(len(files))
        return _tf_epoch(tf, dataset, arguments, EPOCHS)
    return _tf_epoch(tf, dataset.shuffle(len(files)).map(read, tf.data.AUTOTUNE), arguments)


def _tf_epoch(tf, dataset, arguments, count=1):
    dataset = dataset.batch(arguments.batch_size, drop_remainder=True).prefetch(tf.data.AUTOTUNE)
    return epoch_of(lambda: dataset, lambda batch: batch * 255, count)


def prepare_tfds(arguments):
    """The JPEGs as a data set of TFDS's own format, as if it had been downloaded."""
    tf = turns.tensorflow()
    import tensorflow_datasets as tfds

    files, where = paths(arguments), {"data_dir": f"{arguments.folder}/tfds"}
    tfds.disable_progress_bar()
    logging.getLogger("absl").setLevel("ERROR")
    with contextlib.redirect_stdout(io.StringIO()):
        tfds.dataset_builders.store_as_tfds_dataset(
            name="drawn_faces",
            version="1.0.0",
            features=tfds.features.FeaturesDict({"image": tfds.features.Image()}),
            split_datasets={"train": [(path, {"image": path}) for path in files]},
            **where,
        )
    dataset = tfds.load("drawn_faces", split="train", shuffle_files=True, **where)
    dataset = dataset.shuffle(len(files))
    dataset = dataset.map(lambda one: square(tf, one["image"]), tf.data.AUTOTUNE)
    return _tf_epoch(tf, dataset, arguments)


def prepare_keras(arguments):
    turns.tensorflow()
    import keras

    with contextlib.redirect_stdout(io.StringIO()):  # how many files it found
        dataset = keras.utils.image_dataset_from_directory(
            f"{arguments.folder}/jpegs",
            labels=None,
            image_size=(SIZE, SIZE),
            batch_size=arguments.batch_size,
            crop_to_aspect_ratio=True,
        )
    return epoch_of(lambda: dataset, lambda batch: batch)


def prepare_torch(arguments, cached=False):
    import torch
    from PIL import Image
    from torch.utils.data import DataLoader, TensorDataset

    class Faces(torch.utils.data.Dataset):
        """As torchvision's ImageFolder with Resize, CenterCrop and ToTensor."""

        files = paths(arguments)

        def __len__(self):
            return len(self.files)

        def __getitem__(self, index):
            with Image.open(self.files[index]) as image:
                width, height = image.size
                side = min(width, height)
                left, top = (width - side) // 2, (height - side) // 2
                image = image.convert("RGB").resize(
                    (SIZE, SIZE), Image.Resampling.BILINEAR, (left, top, left + side, top + side)
                )
            return (torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous().div(255),)

    faces, more = Faces(), {"num_workers": CORES, "persistent_workers": True}
    if cached:
        faces, more = TensorDataset(torch.stack([image for (image,) in faces])), {}
    loader = DataLoader(faces, arguments.batch_size, shuffle=True, drop_last=True, **more)
    return epoch_of(lambda: loader, lambda batch: batch[0].permute(0, 2, 3, 1) * 255)


def check(found):
    """Raise unless all saw as many images, in batches of one shape, and much the same ones."""
    ours = next(iter(found.values()))
    for name, theirs in found.items():
        assert theirs["images"] == ours["images"], f"{name}: {theirs} against {ours}"
        assert theirs.get("shapes") == ours.get("shapes") or "shapes" not in ours, name
        assert abs(theirs.get("mean", ours["mean"]) - ours["mean"]) < 1, f"{name}: {theirs}, {ours}"


ONCE = [
    turns.Contender("dcgan_tf, JPEG to pack", prepare_pack),
    turns.Contender("bare decoding, Pillow", prepare_pillow_decode),
    turns.Contender("bare decoding of the square, tf.io", prepare_tf_decode),
]
EPOCH = [
    turns.Contender("dcgan_tf, pack to batches", prepare_batches),
    turns.Contender("tf.data, files", prepare_files),
    turns.Contender("tfds.load + map", prepare_tfds),
    turns.Contender("keras image_dataset_from_directory", prepare_keras),
    turns.Contender("torch DataLoader", prepare_torch),
    turns.Contender("tf.data, cached", functools.partial(prepare_files, cached=True)),
    turns.Contender("torch DataLoader, cached", functools.partial(prepare_torch, cached=True)),
]


def main():
    arguments = turns.parse(__doc__, batches=(16, "in an epoch"), batch_size=(128, "images"))
    count = arguments.batches * arguments.batch_size
    draw(Path(arguments.folder, "jpegs"), count)
    turns.run(ONCE, arguments, check, f"{count:,} JPEG files of 178x218, once")
    title = f"an epoch of {count:,} images of 64x64, batch {arguments.batch_size}, shuffled"
    turns.run(EPOCH, arguments, check, title)


if __name__ == "__main__":
    main()
