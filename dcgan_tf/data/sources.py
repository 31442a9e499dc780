"""Sources of images: names and encoded images, without sizes or pixel ranges.

Each source has `names` (sorted, so that a subset does not depend on the order on disk),
`fingerprint` (changes when the images change), `where` (for messages), `left_out` ({name: reason}
for the other files) and `read(indices)`, which yields (index, encoded bytes or BadFile) in that
order.
"""

import contextlib
import hashlib
import io
import logging
import os
import re
import tarfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import IO

from dcgan_tf.common import download, hub, limits
from dcgan_tf.common.config import Config
from dcgan_tf.common.datasets import DATASETS, DOWNLOADS, FETCHED
from dcgan_tf.common.errors import UserError, one_line
from dcgan_tf.common.files import digest
from dcgan_tf.common.foreign import (
    BadFile,
    as_bad_file,
    open_member,
    open_regular,
    open_zip,
    read_file,
    read_member,
    reason,
)
from dcgan_tf.common.images import encode, evenly
from dcgan_tf.data.binary import EXAMPLES, Arrays, find_arrays
from dcgan_tf.data.forms import (
    HEAD,
    LARGEST,
    describe_others,
    form_of,
    hidden_by,
    left_out,
    open_picture,
    other_names,
    picture_suffixes,
)
from dcgan_tf.data.hugging_face import HubImages
from dcgan_tf.data.places import DRAWN, FEWEST, Tfds, fetch_from_kaggle, find
from dcgan_tf.data.synthetic import DRAWING_VERSION, draw_face

log = logging.getLogger(__name__)

DRAWN_FACES = 20_000  # number of faces in the demo's data; only the chosen ones are drawn
_ARCHIVE = re.compile(r"[^/]+\.(zip|npz|tar|tar\.gz|tgz)", re.IGNORECASE)
_SAMPLE, _SAMPLE_BYTES = 32, 2**16  # files in a folder's fingerprint, and bytes from their middle
_LOOKED_AT = 32  # images that are examined to recognize CelebA
Read = Iterator[tuple[int, bytes | BadFile]]


def _picture_bytes(megapixels: float) -> int:
    """The largest file to decode: four bytes per pixel, and a MiB for other content."""
    return int(megapixels * 4e6) + 2**20


LIMIT = _picture_bytes(limits.MEGAPIXELS)


def _sort_out(
    names: Iterable[str], open_file: Callable[[str], contextlib.AbstractContextManager[IO[bytes]]]
) -> tuple[list[str], dict[str, str]]:
    """Tell the images apart: sorted names, and {name: reason} of the other files."""

    def peek(name: str) -> bytes:
        with contextlib.suppress(BadFile), open_file(name) as file:
            return file.read(HEAD)
        return b""  # read() reports it

    whys = {name: left_out(name, lambda name=name: peek(name)) for name in names}
    others = {name: why for name, why in whys.items() if why}
    return sorted(whys.keys() - others.keys()), others


def is_run(files: Iterable[str]) -> bool:
    """Tell by its files whether a folder is a run directory, whose samples are no training data."""
    return "config.toml" in files and not {"log.txt", "versions.json"}.isdisjoint(files)


def holds_runs(folder: Path) -> bool:
    """Tell whether runs, or images of bundled or downloaded generators, are in a folder."""
    inside: list[Path] = []
    with contextlib.suppress(OSError):
        inside = [path for path in folder.iterdir() if path.is_dir()]
    if any(path.name.startswith(("pretrained-", "hf-")) for path in inside):
        return True
    for path in inside:
        with contextlib.suppress(OSError):  # of another user
            if is_run(os.listdir(path)):
                return True
    return False


class Folder:
    """All images in a folder and its subfolders; links to folders are not followed.

    Args:
        limit: largest file to read, in bytes.
        where: name in messages, by default `root`.
        dataset: config.dataset.
    """

    def __init__(self, root: Path, limit: int = LIMIT, where: str | Path = "", dataset: str = ""):
        self._root, self._limit, self.where = Path(root), limit, where or Path(root)
        self._told_by_size = ".jpg" if dataset == "celeba" else ()  # keeps the keys of packs
        self._unused: dict[str, str] = {}
        names = []
        for folder, folders, files in os.walk(self._root, onerror=self._leave_out_unreadable):
            below = Path(folder).relative_to(self._root)
            if is_run(files):
                folders[:], files = [], []
                self._leave_out(below, "a run's directory, not data: name a folder of images")
            elif below.parts and below.name == "runs" and holds_runs(Path(folder)):
                folders[:], files = [], []
                self._leave_out(below, "has runs, and what else this program writes there")
            names += [(below / name).as_posix() for name in files]
            for name in folders:
                if Path(folder, name).is_symlink():
                    self._leave_out(below / name, "a link to a folder: name that with --data")
        self.names, others = _sort_out(names, self.open)
        self.left_out = self._unused | others

    def _leave_out_unreadable(self, error: OSError) -> None:
        why = f"this folder cannot be read ({reason(error)})"
        self._leave_out(Path(error.filename).relative_to(self._root), why)

    def _leave_out(self, folder: Path, why: str) -> None:
        if not folder.parts:
            raise UserError(why, flag=f"--data {self._root}")
        if not hidden_by(folder.as_posix()):  # such as lost+found, which only root can read
            self._unused[f"{folder.as_posix()}/"] = why

    def open(self, name: str) -> io.BufferedReader:
        path = self._root / name
        try:
            return open_regular(path)
        except OSError as error:
            raise as_bad_file(error, path) from None

    def size(self, name: str) -> int:
        return os.path.getsize(self._root / name)

    @property
    def fingerprint(self) -> str:
        paths = [(name, self._root / name) for name in self.names]  # some are broken links
        stats = ((name, path.stat(follow_symlinks=os.path.exists(path))) for name, path in paths)
        files = [(name, stat.st_size, stat.st_mtime_ns) for name, stat in stats]
        doubtful = [name for name in self.names if not name.endswith(self._told_by_size)]
        # Such a file may be readable later without another size or time.
        closed = [n for n, path in paths if os.path.exists(path) and not os.access(path, os.R_OK)]
        samples = [*map(self._sample, evenly(doubtful, _SAMPLE))]
        return digest([*files, *samples, *([closed] if closed else [])])

    def _sample(self, name: str) -> str:
        with contextlib.suppress(BadFile, OSError), self.open(name) as file:
            file.seek(max(0, (file.seek(0, os.SEEK_END) - _SAMPLE_BYTES) // 2))
            return hashlib.sha256(file.read(_SAMPLE_BYTES)).hexdigest()
        return ""  # read() reports it

    def read(self, indices: Sequence[int]) -> Read:
        for index in indices:
            try:
                yield index, read_file(self._root / self.names[index], self._limit, LARGEST)
            except BadFile as bad:  # a broken link, a pipe, no permission, too large
                yield index, bad


class Zip:
    """All images in a zip, such as the archive from Kaggle."""

    def __init__(self, path: Path, limit: int = LIMIT):
        self.where, self._limit = path, limit
        try:
            with open_zip(self.where) as archive:
                files = [info for info in archive.infolist() if not info.is_dir()]
                self._entries = {info.filename: info for info in files}  # as unzip: the last one
                self.names, self.left_out = _sort_out(
                    self._entries, lambda name: open_member(archive, self._entries[name])
                )
        except BadFile as bad:
            message = f"{bad}; download it again or unpack it"
            raise UserError(message, flag=f"--data {path}") from None
        for name in {info.filename for info in files if info is not self._entries[info.filename]}:
            self.left_out.setdefault(f"{name} (again)", "a duplicate name: the last entry is used")
        infos = [self._entries[name] for name in self.names]
        self.fingerprint = digest([(i.filename, i.file_size, i.CRC) for i in infos])

    @contextlib.contextmanager
    def open(self, name: str):
        with open_zip(self.where) as archive, open_member(archive, self._entries[name]) as file:
            yield file

    def size(self, name: str) -> int:
        return self._entries[name].file_size  # to seek its end would unpack all of it

    def read(self, indices: Sequence[int]) -> Read:
        with open_zip(self.where) as archive:
            for index in indices:
                entry = self._entries[self.names[index]]
                try:
                    yield index, read_member(archive, entry, self._limit, LARGEST)
                except BadFile as bad:
                    yield index, bad


class Tar:
    """The files in a tar, gzipped or not, such as CIFAR-10's; it has no image files."""

    names: tuple[str, ...] = ()

    def __init__(self, path: Path):
        self.where = path
        try:
            with self._archive() as archive:
                sizes = {member.name: member.size for member in archive if member.isfile()}
        except (tarfile.TarError, EOFError, zlib.error, OSError, BadFile) as error:
            raise UserError(
                f"not a complete tar file ({one_line(error)}); download it again, or unpack it and "
                "give the folder",
                flag=f"--data {path}",
            ) from None
        self._sizes, self.left_out = sizes, {name: left_out(name, bytes) for name in sizes}

    @contextlib.contextmanager
    def _archive(self):
        with open_regular(self.where) as file, tarfile.open(fileobj=file) as archive:
            yield archive

    @contextlib.contextmanager
    def open(self, name: str):
        with self._archive() as archive:
            yield archive.extractfile(name)

    def size(self, name: str) -> int:
        return self._sizes[name]


class Drawn:
    """The demo's faces, drawn on demand and encoded as JPEG."""

    where = DRAWN
    left_out = {}
    names = [f"{index:06d}.jpg" for index in range(DRAWN_FACES)]
    fingerprint = f"drawing-{DRAWING_VERSION}"

    def read(self, indices: Sequence[int]) -> Read:
        for index in indices:
            yield index, encode(draw_face(index), "JPEG", quality=92)


Files = Folder | Zip | Tar  # where raw arrays may lie, too
Source = Files | Arrays | Tfds | HubImages | Drawn


def open_source(config: Config) -> Source:
    """Open the source of a config; it has at least one image.

    Raises:
        UserError: no such place, no usable image, or fewer images than --subset.
    """
    place, entry = find(config), DATASETS[config.dataset]
    limit = _picture_bytes(config.max_pixels)
    if config.dataset == "demo":
        source = Drawn()
    elif config.data == "tfds":
        source = Tfds(config.dataset)
    elif config.data.startswith(hub.PREFIX):
        source = HubImages(config.data, limit)
    elif config.data == "kaggle":
        source = Folder(fetch_from_kaggle(config.dataset), limit, place, config.dataset)
    else:
        if isinstance(place, str):
            path, size = Path(DOWNLOADS, Path(place).name), entry.bytes
            otherwise = "give a folder with its files with --data"
            place = download.fetch(place, path, entry.sha256, config.dataset, size, otherwise)
        source = _open_path(place, config)
    count = len(source.names)
    if not count:
        expected = ", ".join(picture_suffixes() + EXAMPLES.get(entry.binary, ()))
        raise UserError(
            f"no images there ({expected}){describe_others(source.left_out)}",
            flag=f"--data {source.where}",
        )
    if config.subset > count:
        few = count < FEWEST
        advice = f"add images: a training needs {FEWEST}" if few else f"use {count} or fewer"
        raise UserError(
            f"larger than the data, {limits.counted(count, 'image')} in {source.where}; {advice}",
            flag=f"--subset {config.subset}",
        )
    return source


def check_named(config: Config, data: str | None) -> None:
    """Refuse a --data without images, before the slow import of TensorFlow."""
    if data and data not in FETCHED:
        open_source(replace(config, data=data, subset=0))


def recognize(config: Config) -> Config:
    """Replace the data set "auto" by the one recognized from the files at `data`; log one line.

    Images with CelebA's size and names are CelebA; IDX and CIFAR-10 files are MNIST and CIFAR-10;
    everything else is a folder of images.

    Raises:
        UserError: no such place.
    """
    if config.dataset != "auto":
        return config
    if config.data in FETCHED:
        return replace(config, dataset="celeba")
    if config.data.startswith(hub.PREFIX):
        source = HubImages(config.data, _picture_bytes(config.max_pixels))
    else:
        source = _open_path(Path(find(config)), config)
    if isinstance(source, Arrays):
        dataset = "cifar10" if source.shape[2:] else "mnist"
        what = f"arrays of {len(source.names):,} images; --config {dataset} is the recipe for them"
    else:
        dataset = "celeba" if is_celeba(source) else "folder"
        in_rows = isinstance(source, HubImages)
        like = f", with CelebA's {'size' if in_rows else 'names and size'}"
        what = limits.counted(len(source.names), "image" if in_rows else "image file")
        what += like if dataset == "celeba" else ", not CelebA's"
    if source.names:
        log.info(f"dataset {dataset}: {source.where} has {what}")
    return replace(config, dataset=dataset)


def is_celeba(source: Files | HubImages, by_name: bool = True) -> bool:
    """Examine a few images: most must have the size of CelebA's aligned images, and the names."""
    if not source.names:  # perhaps an archive that is not read
        return False
    indices = evenly(range(len(source.names)), _LOOKED_AT)
    named = indices
    if by_name and not isinstance(source, HubImages):  # whose rows have no names
        named = [i for i in indices if re.search(r"(^|[/\\])\d{6}\.(jpg|png)$", source.names[i])]
    right = 0
    for encoded in (read for _, read in source.read(named) if isinstance(read, bytes)):
        with contextlib.suppress(Exception):  # damaged files are reported during preparation
            right += open_picture(io.BytesIO(encoded)).size == DATASETS["celeba"].size
    return 2 * right > len(indices)


def _open_path(path: Path, config: Config) -> Files | Arrays:
    """Open a folder, a zip or a tar, or the raw arrays in it."""
    auto, limit = config.dataset == "auto", _picture_bytes(config.max_pixels)
    kinds = ["idx", "cifar"] if auto else [*filter(None, [DATASETS[config.dataset].binary])]
    try:
        if path.is_dir():
            source = Folder(path, limit, dataset=config.dataset)
        else:
            source = _open_file(path, limit, with_tar=bool(kinds))
    except (BadFile, OSError) as error:
        raise UserError(f"cannot be read ({reason(error)})", flag=f"--data {path}") from None
    if auto and source.names:  # images take precedence over arrays
        return source
    for kind in kinds:
        if arrays := find_arrays(kind, source):
            return arrays
    archives = [name for name in other_names(source.left_out) if _ARCHIVE.fullmatch(name)]
    if source.names or not path.is_dir() or len(archives) != 1:
        return source
    return _open_path(path / archives[0], config)


def _open_file(path: Path, limit: int, with_tar: bool) -> Tar | Zip:
    with open_regular(path) as file:
        head = file.read(HEAD)
    if not head:
        raise UserError("the file is empty; download it again", flag=f"--data {path}")
    if with_tar and (head[:2] == b"\x1f\x8b" or head[257:262] == b"ustar"):
        return Tar(path)
    if not head.startswith(b"PK") and (what := form_of(path.name, head)):
        raise UserError(what, flag=f"--data {path}")
    return Zip(path, limit)
