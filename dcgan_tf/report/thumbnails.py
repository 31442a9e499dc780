"""Images of a report page, re-encoded as JPEG within a size budget."""

import base64
from pathlib import Path

from dcgan_tf.common.images import encode, evenly
from dcgan_tf.common.runs import sample_files
from dcgan_tf.report.run_files import Files, as_text

SHARE = 0.06  # fraction of a run's bytes for the real images; twice as much for the pairs
SIDES = (1100, 700, 400, 200)  # largest side in pixels; smaller if there is little room
QUALITY = 85
GRIDS = 60  # most on a page, so that a slider can show each


def add_images(files: Files, found: dict, room: int):
    """Put the images of a run, at most `room` bytes, and all notes into its dict."""
    best = found["best"]["epoch"] if found["best"] else None
    reals = _one_image(files, files.run.reals, int(SHARE * room))
    pairs = _one_image(files, files.run.memorisation_pairs, int(2 * SHARE * room))
    used = sum(len(image["src"]) for image in (reals, pairs) if image)
    samples = _sample_grids(files, sample_files(files.run.samples), best, room - used)
    found |= {"reals": reals, "pairs": pairs, "samples": samples, "notes": files.notes}


def _one_image(files, path, room):
    """An image of at most `room` bytes, as {src, width, height}; None without one that fits."""
    image = files.image(path)
    if image is None:
        return None
    for side in SIDES:
        found = _encode(image, side)
        if len(found["src"]) <= room:
            return found
    return files.note(path, "left out, the page has no room for it")


def _sample_grids(files, found: dict[int, Path], best, room):
    """Choose the newest, the best and other evenly spaced grids, as `shown` and `left_out`."""
    encoded, used, rows = {}, 0, ""
    newest = next((epoch for epoch in reversed(found) if files.image(found[epoch])), None)
    if newest is not None:
        image = files.image(found[newest])
        rows = as_text(image.info.get("rows", "")).replace(",", ", ")  # the classes, if any
        sizes = {side: len(_encode(image, side)["src"]) for side in SIDES}
        side = next((side for side in SIDES if 3 * sizes[side] <= room), SIDES[-1])
        count = max(min(GRIDS, room // sizes[side]) - 2, 1)  # the newest and the best are added
        for epoch in dict.fromkeys([newest, best, *evenly(list(found), count)]):
            if epoch in found and (image := files.image(found[epoch])):
                small = _encode(image, side)
                if used + len(small["src"]) <= room:
                    encoded[epoch] = small
                    used += len(small["src"])
    shown = [{"epoch": epoch} | encoded[epoch] for epoch in sorted(encoded)]
    left_out = [epoch for epoch in found if epoch not in encoded]
    return {"shown": shown, "left_out": left_out, "rows": rows}


def _encode(image, side):
    """An image of at most `side` pixels as a data URL, with its size."""
    small = image.convert("L" if image.mode in ("L", "1") else "RGB")
    small.thumbnail((side, side))
    # Small grids show every pixel, so chroma subsampling would blur them.
    options = {"subsampling": 0} if small.width < 400 else {}
    content = base64.b64encode(encode(small, "JPEG", quality=QUALITY, **options)).decode()
    source = f"data:image/jpeg;base64,{content}"
    return {"src": source, "width": small.width, "height": small.height}
