"""Images of a report page, re-encoded as JPEG within a size budget."""

import base64
from pathlib import Path

from dcgan_tf.common.images import encode, evenly, read_grid
from dcgan_tf.report.run_files import Files, explain

SIDES = (1100, 700, 400, 200)  # pixels at most; a smaller one where there is little room
QUALITY = 85
GRIDS = 60  # on a page, at most: what a slider still shows one by one


def one_picture(files: Files, path: Path, room: int) -> dict | None:
    """A picture for the page, of at most `room` bytes.

    Returns:
        dict: `src`, a data address, `width` and `height`; None without the file and, with a note,
        where it is damaged or too large.
    """
    plain = _open(files, path) if path.exists() else None
    if plain is None:
        return None
    for side in SIDES:
        found = _encoded(plain, side)
        if len(found["src"]) <= room:
            return found
    return files.note(path, "left out, the page has no room for it")


def sample_pictures(files: Files, found: dict[int, Path], best: int | None, room: int) -> dict:
    """The sample grids that the page shows: the first, the last, the best, others evenly chosen.

    Args:
        found: the files by epoch; best: the epoch with the best score, None if none is known.
        room: bytes for all of them.

    Returns:
        dict: `shown`, a list of {epoch, src, width, height}, and `left_out`, the other epochs.
    """
    kept = _kept_always(files, found, best)
    for side in SIDES:
        encoded = {epoch: _encoded(plain, side) for epoch, plain in kept.items()}
        used = _bytes(encoded.values())
        if used <= room:
            break
    else:
        encoded = {}
    if encoded:
        largest = max(len(picture["src"]) for picture in encoded.values())
        count = max(min(GRIDS, room // largest - 1), 1)  # the best one may lie between them
        for epoch in evenly(list(found), count):
            if epoch not in encoded and (plain := _open(files, found[epoch])):
                picture = _encoded(plain, side)
                if used + len(picture["src"]) <= room:
                    encoded[epoch] = picture
                    used = _bytes(encoded.values())
    shown = [{"epoch": epoch} | encoded[epoch] for epoch in sorted(encoded)]
    return {"shown": shown, "left_out": [epoch for epoch in found if epoch not in encoded]}


def _kept_always(files, found, best):
    """dict of Image: the first and the last grid that can be opened, and the best one."""
    kept = {}
    for order in (list(found), list(found)[::-1], [best] if best in found else []):
        for epoch in order:
            plain = kept.get(epoch) or _open(files, found[epoch])
            if plain:
                kept[epoch] = plain
                break
    return kept


def _bytes(pictures):
    return sum(len(picture["src"]) for picture in pictures)


def _open(files, path):
    """Image | None: with a note where it cannot be opened."""
    try:
        return read_grid(path)
    except Exception as error:  # Pillow raises many kinds of them
        return files.note(path, f"left out, it cannot be opened ({explain(error)})")


def _encoded(plain, side):
    """dict: a Pillow image of at most `side` pixels as a data address, with its size."""
    image = plain.convert("L" if plain.mode in ("L", "1") else "RGB")
    image.thumbnail((side, side))
    # In small grids each pixel is seen; halving the colours' resolution would blur them.
    options = {"subsampling": 0} if image.width < 400 else {}
    content = base64.b64encode(encode(image, "JPEG", quality=QUALITY, **options)).decode()
    return {
        "src": f"data:image/jpeg;base64,{content}",
        "width": image.width,
        "height": image.height,
    }
