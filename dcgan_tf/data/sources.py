"""Where pictures come from. A source knows names and encoded pictures, no sizes and no ranges.

Each source has `names` (sorted, so that a choice of pictures does not depend on how they are
stored), `fingerprint` (changes when the pictures do), `where` (for messages) and
`read(indices)`, which yields (index, encoded bytes) in that order.
"""

import os
import textwrap
import zipfile
from pathlib import Path

from dcgan_tf.common.cli import typed
from dcgan_tf.common.errors import UserError
from dcgan_tf.common.files import digest
from dcgan_tf.common.images import encode
from dcgan_tf.data.binary import Arrays, read_cifar, read_idx
from dcgan_tf.data.synthetic import DRAWING_VERSION, draw_face

PICTURES = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm")
TFDS_NAMES = {"celeba": "celeb_a", "mnist": "mnist", "cifar10": "cifar10"}
CELEBA_PAGE = "kaggle.com/datasets/jessicali9530/celeba-dataset"
DRAWN_FACES = 20_000  # how many faces the demo could draw; only the chosen ones are
# Where people put what they download; `*` stands for one folder. Checked in this order.
USUAL_PLACES = {
    "celeba": (
        "data/img_align_celeba.zip",
        "data/celeba*.zip",
        "data/archive.zip",
        "data/img_align_celeba",
        "data/celeba",
        "data/CelebA",
        "img_align_celeba.zip",
        "img_align_celeba",
        "archive.zip",
        "~/Downloads/img_align_celeba.zip",
        "~/Downloads/archive.zip",
        "/kaggle/input/*/img_align_celeba",
        "/kaggle/input/*/*/*/img_align_celeba",
    ),
    "mnist": ("data/mnist", "data/MNIST/raw"),
    "cifar10": ("data/cifar-10-batches-bin", "data/cifar10"),
}


class Folder:
    """All pictures in a folder and the folders below it."""

    def __init__(self, root):
        self.where = Path(root)
        found = []
        for folder, _, files in os.walk(self.where):
            paths = (Path(folder) / name for name in files)
            found += [path.relative_to(self.where) for path in paths if is_picture(path)]
        self.names = sorted(path.as_posix() for path in found)

    @property
    def fingerprint(self):
        stats = ((name, _stat(self.where / name)) for name in self.names)
        return digest([(name, stat.st_size, stat.st_mtime_ns) for name, stat in stats])

    def read(self, indices):
        for index in indices:
            try:
                yield index, (self.where / self.names[index]).read_bytes()
            except OSError:  # a broken link, or not ours to read
                yield index, b""


def _stat(path):
    try:
        return path.stat()
    except OSError:  # a broken link
        return path.lstat()


class Zip:
    """All pictures in a zip, such as the Kaggle archive as it was downloaded."""

    def __init__(self, path):
        self.where = Path(path)
        try:
            with zipfile.ZipFile(path) as archive:
                infos = [info for info in archive.infolist() if is_picture(info.filename)]
        except (zipfile.BadZipFile, NotImplementedError, ValueError) as error:
            raise UserError(
                f"--data {path}: not a whole zip file ({error}); download it again or unpack it"
            ) from None
        files = [info for info in infos if not info.is_dir()]
        self._infos = sorted(files, key=lambda info: info.filename)
        self.names = [info.filename for info in self._infos]
        self.fingerprint = digest([(i.filename, i.file_size, i.CRC) for i in self._infos])

    def read(self, indices):
        with zipfile.ZipFile(self.where) as archive:
            for index in indices:
                try:
                    yield index, archive.read(self._infos[index])
                except Exception:  # encrypted or damaged; zlib's and lzma's own errors come through
                    yield index, b""


class Tfds:
    """A data set of TensorFlow Datasets, all splits; downloaded if it must be."""

    def __init__(self, dataset):
        import tensorflow_datasets as tfds

        self.where = f"tfds:{TFDS_NAMES[dataset]}"
        try:
            self._examples, info = tfds.load(
                TFDS_NAMES[dataset],
                split="all",
                decoders={"image": tfds.decode.SkipDecoding()},
                shuffle_files=False,
                with_info=True,
            )
        except ModuleNotFoundError:
            raise  # one of ours, not of the download: the caller says what to install
        except Exception as error:  # TFDS has no common class for what can fail in a download
            raise UserError(_tfds_failure(dataset, error)) from None
        self.names = [f"{index:06d}" for index in range(len(self._examples))]
        self.fingerprint = digest([info.full_name, len(self.names)])

    def read(self, indices):
        """Files of TFDS are read from front to back, so the order is that of the data set."""
        wanted = set(indices)
        for position, example in enumerate(self._examples):
            if position in wanted:
                yield position, example["image"].numpy()


class Drawn:
    """The demo's faces, drawn when they are asked for and handed on as JPEG."""

    where = "drawn by this program"
    names = [f"{index:06d}.jpg" for index in range(DRAWN_FACES)]
    fingerprint = f"drawing-{DRAWING_VERSION}"

    def read(self, indices):
        for index in indices:
            yield index, encode(draw_face(index), "JPEG", quality=92)


def open_source(config):
    """Open the pictures that a config asks for.

    Returns:
        A source with at least one picture.

    Raises:
        UserError: nothing there, nothing usable there, or fewer pictures than --subset.
    """
    if config.dataset == "demo":
        if config.data:
            raise UserError(
                f"--data {config.data}: dataset demo draws its own pictures; drop --data, "
                "or say what these are with --dataset"
            )
        source = Drawn()
    elif config.data == "tfds":
        if config.dataset not in TFDS_NAMES:
            raise UserError("--data tfds: TFDS has no data set 'folder'; give a folder or a zip")
        source = Tfds(config.dataset)
    else:
        source = _open_path(config, find(config))
    if not source.names:
        raise UserError(f"--data {source.where}: no pictures there ({', '.join(PICTURES)})")
    if config.subset > len(source.names):
        raise UserError(
            f"--subset {config.subset}: larger than the data, "
            f"{len(source.names)} pictures in {source.where}; use {len(source.names)} or fewer"
        )
    return source


def find(config):
    """Path: what --data names, or the first usual place that exists.

    Raises:
        UserError: nothing there; the message gives the ways to mend it.
    """
    if config.data:
        path = Path(config.data).expanduser()
        if not path.exists():
            raise UserError(f"--data {config.data}: no such file or folder")
        return path
    for pattern in USUAL_PLACES.get(config.dataset, ()):
        path = Path(pattern).expanduser()
        matches = sorted(Path(path.anchor).glob(str(path.relative_to(path.anchor))))
        for match in matches:
            if match.is_file() or any(match.iterdir()):  # an empty folder is nobody's data
                return match
    if config.dataset == "folder":
        raise UserError("--dataset folder needs --data DIR, a folder or zip of your pictures")
    if config.dataset == "celeba":
        raise UserError(
            "no CelebA found in the usual places (README, Data); give it in one of three ways: "
            f"--data archive.zip (from {CELEBA_PAGE}), --data FOLDER (unpacked), or --data tfds "
            f"(downloads it); without any data, try: {typed('train')} --config demo"
        )
    raise UserError(
        f"no {config.dataset} found in {', '.join(USUAL_PLACES[config.dataset])}; "
        "give --data FOLDER with its binary files, or --data tfds (downloads it)"
    )


def _open_path(config, path):
    if path.is_file():
        if path.stat().st_size == 0:
            raise UserError(f"--data {path}: the file is empty; download it again")
        return Zip(path)
    binary = {"mnist": read_idx, "cifar10": read_cifar}.get(config.dataset)
    pixels = binary(path) if binary else None
    if pixels is not None:
        return Arrays(path, pixels)
    source = Folder(path)
    archives = sorted(path.glob("*.zip"))
    return source if source.names or len(archives) != 1 else Zip(archives[0])


def is_picture(path):
    """bool: by its name; macOS' `._name` shadows in archives are none."""
    path = Path(path)
    return path.suffix.lower() in PICTURES and not path.name.startswith("._")


def _tfds_failure(dataset, error):
    first = (str(error).strip() or type(error).__name__).splitlines()[0]
    first = textwrap.shorten(first, 200, placeholder=" ...")
    quota = (
        " (CelebA lies on Google Drive, whose daily quota is often used up: "
        f"try again tomorrow, or take {CELEBA_PAGE} with --data archive.zip)"
        if dataset == "celeba"
        else ""
    )
    return f"--data tfds: {TFDS_NAMES[dataset]} could not be loaded: {first}{quota}"
