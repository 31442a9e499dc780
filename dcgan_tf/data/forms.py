"""Files by name and first bytes: images, hidden and system files, data in other forms."""

import contextlib
import functools
import logging
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import PureWindowsPath
from typing import BinaryIO

from PIL import Image

from dcgan_tf.common.limits import counted
from dcgan_tf.common.log import on_one_line

NO_IMAGE = "no picture by its name"  # as manifests have it since the first version
HIDDEN = "hidden or made by a system: "  # then the folder or file by which it is
LARGEST = "of the largest image that --max-pixels allows"  # end of the error for larger files
HEAD = 300  # first bytes that tell a form; a tar has its mark at 257
_SYSTEM = re.compile(  # one part of a path; some zips come with backslashes
    r"(?:^|[/\\])("
    r"\.(?!\.?(?:[/\\]|$))[^/\\]*"  # hidden on Unix: .ipynb_checkpoints, .git, .Trash-1000, ._x.jpg
    r"|__MACOSX|Network Trash Folder|Temporary Items"  # macOS
    r"|\$RECYCLE\.BIN|RECYCLE[RD]|System Volume Information|found\.\d{3}"  # Windows
    r"|lost\+found|LOST\.DIR"  # Linux, Android
    r"|@eaDir|@tmp|@Recycle|@Recently-Snapshot|#recycle|#snapshot|~snapshot"  # network storage
    r"|__pycache__|node_modules|site-packages"
    r")(?=[/\\]|$)",
    re.IGNORECASE,
)
# Other forms of data, the first that fits: base name, first bytes ("": not by these), what to do.
_HEIC = (r".*\.hei[cf]", r".{4}ftyp(hei|mif)", "a HEIC file; to read it: pip install pillow-heif")
_UNREAD = (  # images that are never read
    (r".*\.jp2", r"\0\0\0\x0cjP|\xffO\xffQ", "a JPEG 2000 file, which is not read; convert it"),
    (r".*\.dng", r"II\*\0|MM\0\*", "a TIFF of a depth or layout that is not read; convert it"),
    (
        r".*\.(j2k|jxl|psd|xcf|svg|eps|ps|tga|ico|exr|cr[23]|nef|arw|orf|rw2|raf)",
        "",
        "images of this kind are not read: convert them to PNG or JPEG",
    ),
)
_PAGE = (
    r".*\.html?",
    r"(\xef\xbb\xbf)?\s*<(!doctype|html|head|\?xml)",
    "a web page; the site asks for a login or consent, or has no such file: "
    "download it in a browser",
)
_FORMS = (
    (r".*\.zip", "", "a zip; give one zip with --data, or unpack it and give the folder"),
    ("", "version https://git-lfs", "a pointer of Git LFS, not the file; run: git lfs pull"),
    (
        r"data_batch_\d|test_batch|batches\.meta|cifar-100?-python\.tar\.gz",
        "",
        "CIFAR's version for Python (pickles can run code and are not read); "
        "take cifar-10-binary.tar.gz from cs.toronto.edu/~kriz/cifar.html",
    ),
    (
        r".*images.*idx3-ubyte(\.gz)?|.*_batch.*\.bin|cifar-10-binary\.tar\.gz"
        r"|[xy]_(train|test)\.npy|mnist\.npz",
        r"\0\0\x08\x03",
        "the arrays of MNIST or CIFAR-10; add --config mnist or cifar10, and for a single unpacked "
        "file give its folder",
    ),
    (
        r".*\.(pkl|pickle|pt|pth|joblib)(\.gz)?",
        r"\x80[\x02-\x05]",
        "a pickle, which can run code and is not read; convert it to image files",
    ),
    (
        r".*\.(tar|tgz|tar\.\w+|t[bx]z2?|7z|rar|(7z|zip)\.\d+|z\d\d|gz|bz2|xz|zst)",
        r"\x1f\x8b|BZh|\xfd7zXZ|\x28\xb5\x2f\xfd|7z\xbc\xaf|Rar!|.{257}ustar",
        "an archive that is not read; unpack it and give the folder",
    ),
    (
        r".*\.(csv|tsv|parquet|arrow|feather|mat|h5|hdf5|npy|npz|arff|lmdb|mdb|db"
        r"|array_record.*|tfrecords?.*)|.*\.tfrecord-\d.*",
        r"PAR1|ARROW1|MATLAB 5|\x89HDF|SQLite",
        "a table or array file that is not read; convert it to image files",
    ),
    (
        r".*\.(mp4|avi|mov|mkv|webm|m4v)",
        r".{4}ftyp|\x1aE\xdf\xa3",
        "a video; make images of it: ffmpeg -i FILE frames/%06d.png",
    ),
    _PAGE,
)
_USUAL = r".*\.(csv|tsv|html?)|thumbs\.db"  # lists and pages that lie beside images


def hidden_by(name: str) -> str:
    """Return the hidden or system folder or file in a path below the root, "" without any."""
    match = _SYSTEM.search(name)
    return match[1] if match else ""


def left_out(name: str, peek: Callable[[], bytes]) -> str:
    """Return the reason why a file is not taken for an image, "" where it is.

    Its name decides; the first bytes, where the name has no suffix.

    Args:
        name: the path below the root, which may itself lie in a hidden folder.
        peek: a function that returns the first bytes of the file.
    """
    if system := hidden_by(name):
        return HIDDEN + system
    suffix = os.path.splitext(name.replace("\\", "/"))[1].lower()
    if len(suffix) < 2:
        return "" if starts_as_image(peek()) else NO_IMAGE
    return "" if suffix in picture_suffixes() else unread_kind(name) or NO_IMAGE


def unread_kind(name: str = "", head: bytes = b"") -> str:
    """Return the reason why an image of this name or these bytes is not read, "" for others."""
    return _first_fit(_unread(), name, head)


def describe_unused(
    good: int,
    skipped: Mapping[str, str],
    left_out: Mapping[str, str],
    cut: tuple[int, float],
    where: str = "",
    group: str = "",
) -> list[tuple[int, str]]:
    """Describe the images that are skipped, left out or cropped, in (logging level, line).

    Args:
        good: number of usable images.
        skipped, left_out: {name: reason} of the unusable images, and of the other files.
        cut: number of cropped images, and the mean fraction of their area that is cropped.
        where: reference to the complete lists, for the end of a line.
        group: "a sample of " where the images are one.
    """
    warnings, infos = [], [_count_hidden(left_out)]
    if skipped:
        of = f"{group}{counted(len(skipped) + good, 'image')}"
        warnings += [f"skipped {len(skipped)} of {of}: {some_of(skipped, 5)}{where}"]
    named = {n: why for n, why in left_out.items() if not why.startswith((HIDDEN, NO_IMAGE))}
    if named:
        warnings += [f"left out {len(named)}: {some_of(named, 5)}{where}"]
    unusual = [name for name in sorted(other_names(left_out)) if not _fits(_USUAL, name)]
    if kinds := _kinds(n.lower() for n in unusual if any(_fits(form[0], n) for form in _FORMS)):
        what = f"archives, arrays or videos ({', '.join(kinds[:5])})"
        warnings += [f"left out: {what}; unpack or convert what has images"]
    if count := cut[0]:
        were = "were" if count > 1 else "was"
        infos += [
            f"{count:,} of {group}{counted(good, 'image')} {were} cropped, on average by "
            f"{cut[1]:.0%} of their area; --fit pad keeps all of it"
        ]
    lines = [(logging.WARNING, line) for line in warnings]
    return lines + [(logging.INFO, line) for line in infos if line]


def some_of(reasons: Mapping[str, str], count: int) -> str:
    """Join the first of {name: reason} for a message."""
    first = list(reasons.items())[:count]
    some = "; ".join(f"{on_one_line(name)}: {reason}" for name, reason in first)
    return some + (", ..." if len(reasons) > count else "")


def other_names(reasons: Mapping[str, str]) -> list[str]:
    """Return the names that are neither hidden nor an image of some kind."""
    return [name for name, why in reasons.items() if why == NO_IMAGE]


def describe_others(reasons: Mapping[str, str]) -> str:
    """Say what a place without images holds instead and what to do, for the end of a message."""
    names = sorted(other_names(reasons))
    for pattern, _, what in _FORMS:
        if fitting := [name for name in names if _fits(pattern, name)]:
            return f"; found {_few(fitting)}: {what}"
    if hidden := _count_hidden(reasons):
        return f"; {hidden}: name such a folder itself with --data"
    unread = [n for n, why in reasons.items() if why != NO_IMAGE and not why.startswith(HIDDEN)]
    if unread:
        return f"; left out: {_few(unread)}: {reasons[unread[0]]}"
    kinds = _kinds(names)
    return f"; found {_few(kinds)}" if kinds else "; it is empty"


def form_of(name: str, head: bytes) -> str:
    """Say what a file is that is no zip, and what to do; "" where nothing tells it."""
    if starts_as_image(head):
        return "a single image; give the folder or a zip that holds many"
    if what := _first_fit((_PAGE, *_unread(), *_FORMS[1:]), name, head):  # a page as data.tar.gz
        return what
    is_text = re.fullmatch(rb"[\t-\r -~\x80-\xff]+", head)
    return "a text file; give a folder or a zip of images" if is_text else ""


def _unread() -> list[tuple[str, str, str]]:
    return [*_UNREAD] if "HEIF" in picture_formats() else [_HEIC, *_UNREAD]


def _first_fit(forms: Iterable[tuple[str, str, str]], name: str, head: bytes) -> str:
    text = head.decode("latin-1")
    for pattern, start, what in forms:
        by_bytes = start and re.match(start, text, re.IGNORECASE | re.DOTALL)
        if by_bytes or _fits(pattern, name):
            return what
    return ""


def _fits(pattern: str, name: str) -> re.Match[str] | None:
    return re.fullmatch(pattern, PureWindowsPath(name).name, re.IGNORECASE | re.DOTALL)


def _count_hidden(reasons: Mapping[str, str]) -> str:
    """Return a line on the images among the hidden and system files, "" without any."""
    hidden = ((name.lower(), why) for name, why in reasons.items() if why.startswith(HIDDEN))
    by = [why.removeprefix(HIDDEN) for name, why in hidden if name.endswith(picture_suffixes())]
    return f"left out: {counted(len(by), 'hidden or system file')} ({_few(Counter(by))})" * bool(by)


def _kinds(names: Iterable[str]) -> list[str]:
    suffixes = Counter(PureWindowsPath(name).suffix or "without a suffix" for name in names)
    return [f"{count:,} {on_one_line(suffix)}" for suffix, count in suffixes.most_common()]


def _few(names: Iterable[str]) -> str:
    names = [on_one_line(name) for name in names]
    return ", ".join(names[:3]) + (f", ... {len(names):,} in all" if len(names) > 3 else "")


# All that is opened, by Pillow's name, with the suffixes that such files have. Pillow knows more;
# for PostScript it starts a program. HEIF is there with the package pillow-heif.
FORMATS = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "PNG": (".png", ".apng"),
    "BMP": (".bmp",),
    "GIF": (".gif",),
    "WEBP": (".webp",),
    "TIFF": (".tif", ".tiff"),
    "PPM": (".ppm", ".pgm", ".pbm", ".pnm"),
    "AVIF": (".avif",),
    "HEIF": (".heic", ".heif"),
}


@functools.cache
def picture_formats() -> tuple[str, ...]:
    """Name those of FORMATS that this installation can open."""
    with contextlib.suppress(ImportError):
        import pillow_heif  # pyright: ignore[reportMissingImports]

        pillow_heif.register_heif_opener()
    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)


@functools.cache
def picture_suffixes() -> tuple[str, ...]:
    """The suffixes, in lower case, of files that are taken for images.

    Pillow's own table grows with its versions, and with it the names in a pack's key would.
    """
    return tuple(suffix for name in picture_formats() for suffix in FORMATS[name])


def starts_as_image(head: bytes) -> bool:
    """Whether a file with these first bytes, 16 or more, is in one of `picture_formats`."""
    accepts = [accept for name in picture_formats() if (accept := Image.OPEN[name][1])]
    return len(head) >= 16 and any(accept(head) is True for accept in accepts)


def open_picture(file: str | os.PathLike[str] | BinaryIO) -> Image.Image:
    """Open an image of one of `picture_formats` with Pillow; its pixels are not decoded yet."""
    return Image.open(file, formats=picture_formats())
