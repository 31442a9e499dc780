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
    """An image for the page, of at most `room` bytes, as {src, width, height}.

    None without the file and, with a note, if it is damaged or too large.
    """
    image = _open(files, path) if path.exists() else None
    for side in SIDES if image else ():
        found = _encode(image, side)
        if len(found["src"]) <= room:
            return found
    return files.note(path, "left out, the page has no room for it") if image else None


def sample_grids(files: Files, found: dict[int, Path], best: int | None, room: int) -> dict:
    """The sample grids that the page shows: the newest, the best, others evenly chosen.

    Args:
        found: files by epoch.
        room: bytes for all of them.

    Returns:
        `shown`, a list of {epoch, src, width, height}, and `left_out`, the other epochs.
    """
    encoded, used = {}, 0
    newest = next((epoch for epoch in reversed(found) if _open(files, found[epoch])), None)
    if newest is not None:
        image = _open(files, found[newest])
        sizes = {side: len(_encode(image, side)["src"]) for side in SIDES}
        side = next((side for side in SIDES if 3 * sizes[side] <= room), SIDES[-1])
        count = max(min(GRIDS, room // sizes[side]) - 2, 1)  # the newest and the best are added
        for epoch in dict.fromkeys([newest, best, *evenly(list(found), count)]):
            if epoch in found and (image := _open(files, found[epoch])):
                small = _encode(image, side)
                if used + len(small["src"]) <= room:
                    encoded[epoch] = small
                    used += len(small["src"])
    shown = [{"epoch": epoch} | encoded[epoch] for epoch in sorted(encoded)]
    return {"shown": shown, "left_out": [epoch for epoch in found if epoch not in encoded]}


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
