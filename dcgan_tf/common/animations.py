"""Write animations in the format of their file's name: GIF, WebP or MP4."""

import contextlib
import errno
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from dcgan_tf.common.atomic_write import replacing
from dcgan_tf.common.errors import UserError, not_installed

FRAMES = {"gif": 60, "webp": 600, "mp4": 600}  # at most, so that a page can show it


def check_animation(kind: str, flag: str):
    """Refuse a format whose package is missing, before minutes of work."""
    if kind == "mp4" and not _find_ffmpeg():
        raise not_installed("ffmpeg", "video", f"{flag} mp4")


def kind_of(path: Path) -> str:
    """Return the format that a file's name ends in; UserError for any other ending."""
    kind = path.suffix[1:].lower()
    if kind not in FRAMES:
        raise UserError(f"got {path.name!r}, expected a .gif, .webp or .mp4 file", param="path")
    return kind


def save_animation(
    path: Path, frames: Sequence, milliseconds: int = 120, hold: int = 1500, scale: int = 1
):
    """Write Pillow images of one size as a looping animation, whole or not at all.

    Each is shown for `milliseconds`, the last one for `hold` milliseconds, `scale` times as wide
    and high. An MP4 has no loop of its own.
    """
    from dcgan_tf.common.images import evenly, in_one_palette  # --help need not wait for NumPy

    kind = kind_of(path)
    frames = evenly(frames, FRAMES[kind])
    width, height = (scale * length for length in frames[0].size)
    nearest = 0  # of Pillow's ways to resize
    # Enlarged one by one for ffmpeg: hundreds of large images may not fit into the memory. Pillow,
    # for GIF and WebP, keeps them all.
    shown = (frame.convert("RGB").resize((width, height), nearest) for frame in frames)
    with replacing(path) as temporary:
        if kind == "mp4":
            return _write_mp4(temporary, shown, width, height, milliseconds, hold // milliseconds)
        first, *others = in_one_palette([*shown]) if kind == "gif" else shown
        durations = [milliseconds] * len(others) + [hold]
        more = {"append_images": others, "duration": durations, "loop": 0}
        first.save(temporary, kind.upper(), save_all=True, quality=80, **more)


def _write_mp4(path, frames, width, height, milliseconds, last):
    """Write frames to ffmpeg's input, the last one `last` times."""
    width, height = width + width % 2, height + height % 2  # the codec wants even ones
    given = f"-f rawvideo -pix_fmt rgb24 -s {width}x{height} -r {1000 / milliseconds} -i -"
    command = [_find_ffmpeg() or "ffmpeg", *f"{given} -pix_fmt yuv420p -f mp4 -y".split()]
    command += [f"file:{path}"]  # else a name with a colon begins with a protocol
    with tempfile.TemporaryFile() as said:
        # In a session of its own, or a Ctrl-C that a training defers would stop the encoder.
        pipes = {"stdin": subprocess.PIPE, "stdout": said, "stderr": said}
        encoder: Any = subprocess.Popen(command, start_new_session=True, **pipes)
        try:
            with encoder:
                pixels = b""
                for frame in frames:
                    pixels = frame.crop((0, 0, width, height)).tobytes()
                    encoder.stdin.write(pixels)
                for _ in range(last - 1):
                    encoder.stdin.write(pixels)
        except OSError as error:
            if error.errno not in (errno.EPIPE, errno.EINVAL):  # it ended too early, and says why
                raise
        said.seek(0)
        words = said.read().decode(errors="replace").strip().splitlines() or ["no reason given"]
    if encoder.returncode:
        raise UserError(f"ffmpeg cannot write an MP4 here: {words[-1]}")


def _find_ffmpeg():
    if find_spec("imageio_ffmpeg"):
        with contextlib.suppress(RuntimeError):  # it has none for this machine
            return import_module("imageio_ffmpeg").get_ffmpeg_exe()
    return shutil.which("ffmpeg")
