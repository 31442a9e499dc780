"""Write animations in the format of their file's name: GIF, WebP or MP4."""

import contextlib
import shutil
import subprocess
from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from dcgan_tf.common.atomic_write import replacing
from dcgan_tf.common.errors import UserError

FRAMES = {"gif": 60, "webp": 600, "mp4": 600}  # at most, so that a page can show it


def check_animation(kind: str, flag: str):
    """Refuse a format whose package is missing, before minutes of work."""
    if kind == "mp4" and not _find_ffmpeg():
        raise UserError(
            "needs ffmpeg, not installed here; run in the project's folder: "
            'pip install ".[video]"',
            flag=f"{flag} mp4",
        )


def kind_of(path: Path) -> str:
    """Return the format that a file's name ends in; UserError for any other ending."""
    kind = path.suffix[1:].lower()
    if kind not in FRAMES:
        raise UserError(f"got {path.name!r}, expected a .gif, .webp or .mp4 file", param="path")
    return kind


def save_animation(path: Path, frames: Sequence, milliseconds: int = 120, hold: int = 1500):
    """Write Pillow images of one size as a looping animation, whole or not at all.

    Each is shown for `milliseconds`, the last one for `hold` milliseconds. An MP4 has no loop of
    its own.
    """
    from dcgan_tf.common.images import evenly, save_gif  # --help need not wait for NumPy

    kind = kind_of(path)
    if kind == "gif":
        save_gif(path, frames, milliseconds, hold)
        return
    frames = [frame.convert("RGB") for frame in evenly(frames, FRAMES[kind])]
    with replacing(path) as temporary:
        if kind == "webp":
            durations = [milliseconds] * (len(frames) - 1) + [hold]
            more = {"append_images": frames[1:], "duration": durations, "loop": 0}
            frames[0].save(temporary, "WEBP", save_all=True, quality=80, **more)
        else:
            _write_mp4(temporary, frames + [frames[-1]] * (hold // milliseconds - 1), milliseconds)


def _write_mp4(path, frames, milliseconds):
    width, height = (length + length % 2 for length in frames[0].size)  # the codec wants even ones
    given = f"-f rawvideo -pix_fmt rgb24 -s {width}x{height} -r {1000 / milliseconds} -i -"
    command = [_find_ffmpeg() or "ffmpeg", *f"{given} -pix_fmt yuv420p -f mp4 -y".split()]
    command += [f"file:{path}"]  # else a name with a colon begins with a protocol
    pixels = b"".join(frame.crop((0, 0, width, height)).tobytes() for frame in frames)
    # In a session of its own, or a Ctrl-C that a training defers would stop the encoder.
    done = subprocess.run(command, input=pixels, capture_output=True, start_new_session=True)
    if done.returncode:
        words = done.stderr.decode(errors="replace").strip().splitlines() or ["no reason given"]
        raise UserError(f"ffmpeg cannot write an MP4 here: {words[-1]}")


def _find_ffmpeg():
    if find_spec("imageio_ffmpeg"):
        with contextlib.suppress(RuntimeError):  # it has none for this machine
            return import_module("imageio_ffmpeg").get_ffmpeg_exe()
    return shutil.which("ffmpeg")
