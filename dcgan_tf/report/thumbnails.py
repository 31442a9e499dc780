"""Images of a report page, re-encoded as JPEG within a size budget."""

import base64
from pathlib import Path

from PIL import Image

from dcgan_tf.common.errors import one_line
from dcgan_tf.common.images import encode, evenly, read_grid
from dcgan_tf.report.run_files import Files

SIDES = (1100, 700, 400, 200)  # pixels at most; a smaller one where there is little room
QUALITY = 85
GRIDS = 60  # on a page, at most: so many a slider can still show one by one


def one_image(files: Files, path: Path, room: int) -> dict | None:
    """An image for the page, of at most `room` bytes.

    Returns:
        `src`, a data address, `width` and `height`; None without the file and, with a note, where
        it is damaged or too large.
    """
    image = _open(files, path) if path.exists() else None
    if image is None:
        return None
    for side in SIDES:
        found = _encode(image, side)
        if len(found["src"]) <= room:
            return found
    return files.note(path, "left out, the page has no room for it")


def sample_grids(files: Files, found: dict[int, Path], best: int | None, room: int) -> dict:
    """The sample grids that the page shows: the first, the last, the best, others evenly chosen.

    Args:
        found: files by epoch; room: bytes for all of them.

    Returns:
        `shown`, a list of {epoch, src, width, height}, and `left_out`, the other epochs.
    """
    opened = _open_ends(files, found, best)
    encoded, used, side = {}, 0, SIDES[0]
    for side in SIDES:
        encoded = {epoch: _encode(image, side) for epoch, image in opened.items()}
        used = sum(len(image["src"]) for image in encoded.values())
        if used <= room:
            break
    else:
        encoded = {}
    if encoded:
        largest = max(len(image["src"]) for image in encoded.values())
        count = max(min(GRIDS, room // largest - 1), 1)  # the best one may lie between them
        for epoch in evenly(list(found), count):
            if epoch not in encoded and (image := _open(files, found[epoch])):
                small = _encode(image, side)
                if used + len(small["src"]) <= room:
                    encoded[epoch] = small
                    used += len(small["src"])
    shown = [{"epoch": epoch} | encoded[epoch] for epoch in sorted(encoded)]
    return {"shown": shown, "left_out": [epoch for epoch in found if epoch not in encoded]}


def _open_ends(files, found, best) -> dict[int, Image.Image]:
    """The first and the last grid that can be opened, and the best one."""
    opened = {}
    for order in (list(found), list(found)[::-1], [best] if best in found else []):
        for epoch in order:
            image = opened.get(epoch) or _open(files, found[epoch])
            if image:
                opened[epoch] = image
                break
    return opened


def _open(files, path) -> Image.Image | None:
    try:
        return read_grid(path)
    except Exception as error:  # Pillow raises many kinds of them
        why = f"{type(error).__name__}: {one_line(error)}"
        return files.note(path, f"left out, it cannot be opened ({why})")


def _encode(image, side):
    """An image of at most `side` pixels as a data address, with its size."""
    small = image.convert("L" if image.mode in ("L", "1") else "RGB")
    small.thumbnail((side, side))
    # In small grids each pixel is seen; halving the colors' resolution would blur them.
    options = {"subsampling": 0} if small.width < 400 else {}
    content = base64.b64encode(encode(small, "JPEG", quality=QUALITY, **options)).decode()
    source = f"data:image/jpeg;base64,{content}"
    return {"src": source, "width": small.width, "height": small.height}
