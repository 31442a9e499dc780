"""Animations as WebP and MP4; GIF is tested with the images."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from helpers import little_memory, refused
from PIL import Image

from dcgan_tf.common import animations
from dcgan_tf.common.animations import FRAMES, check_animation, save_animation
from dcgan_tf.train.callbacks.samples import ProgressGif


def frames(count, mode, size=(51, 64)):
    """Gray images, each 25 levels brighter than the one before."""
    return [Image.new("L", size, 25 * index).convert(mode) for index in range(count)]


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_webp_shows_every_frame_and_loops(mode, tmp_path, monkeypatch):
    save_animation(tmp_path / "a.webp", frames(5, mode), milliseconds=200, hold=900)
    shown = []
    with Image.open(tmp_path / "a.webp") as image:
        assert (image.info["loop"], image.size, image.n_frames) == (0, (51, 64), 5)
        for index in range(5):
            image.seek(index)
            image.load()
            shown.append((np.asarray(image.convert("L")).mean(), image.info["duration"]))
    np.testing.assert_allclose([level for level, _ in shown], range(0, 125, 25), atol=2)
    assert [duration for _, duration in shown] == [200] * 4 + [900]
    monkeypatch.setitem(FRAMES, "webp", 3)
    save_animation(tmp_path / "a.webp", frames(10, mode))
    with Image.open(tmp_path / "a.webp") as image:
        assert image.n_frames == 3
    assert [path.name for path in tmp_path.iterdir()] == ["a.webp"]


@pytest.mark.slow
def test_mp4_shows_every_frame_and_holds_the_last(tmp_path):
    ffmpeg = pytest.importorskip("imageio_ffmpeg", reason='needs pip install ".[video]"')
    save_animation(tmp_path / "a.mp4", frames(6, "RGB"), milliseconds=100, hold=400)
    command = [
        ffmpeg.get_ffmpeg_exe(),
        "-i",
        tmp_path / "a.mp4",
        "-f",
        "rawvideo",
        "-pix_fmt",
        "gray",
    ]
    done = subprocess.run([*command, "-"], capture_output=True)
    assert b"52x64" in done.stderr and b"10 fps" in done.stderr  # the codec wants even sides
    levels = np.frombuffer(done.stdout, np.uint8).reshape(-1, 64, 52)[:, :, :51].mean(axis=(1, 2))
    np.testing.assert_allclose(levels, [0, 25, 50, 75, 100, 125, 125, 125, 125], atol=3)


def test_a_missing_package_is_named_before_the_work(monkeypatch):
    monkeypatch.setattr(animations, "find_spec", lambda name: None)
    monkeypatch.setattr(animations.shutil, "which", lambda name: None)
    check_animation("webp", "--format")
    with refused("--format mp4: ", "needs ffmpeg", 'pip install ".[video]"'):
        check_animation("mp4", "--format")


@pytest.fixture
def encoder(here, monkeypatch):
    """Put a script in the place of ffmpeg."""
    if sys.platform == "win32":
        pytest.skip("scripts are no programs there")

    def put(code):
        Path("ffmpeg").write_text(f"#!{sys.executable}\nimport os, sys\n{code}\n")
        Path("ffmpeg").chmod(0o755)
        monkeypatch.setattr(animations, "_find_ffmpeg", lambda: str(here / "ffmpeg"))

    return put


def test_an_encoder_that_fails_leaves_nothing_and_says_why(encoder, here):
    for read in (0, -1):  # before the pixels, which break the pipe, or after them
        encoder(f"sys.stdin.buffer.read({read}); print('ffmpeg 7'); sys.exit('Unknown encoder')")
        with refused("ffmpeg cannot write an MP4 here: Unknown encoder"):
            save_animation(Path("a.mp4"), frames(2, "RGB", (400, 400)))
        assert [path.name for path in here.iterdir()] == ["ffmpeg"]


def test_ctrl_c_is_for_the_program_and_a_name_is_no_protocol(encoder):
    encoder(
        "size = len(sys.stdin.buffer.read())\n"
        "kind, path = sys.argv[-1].split(':', 1)\n"
        "open(path, 'w').write(f'{kind} {size} {os.getsid(0)}')"
    )
    with little_memory():  # frames are enlarged one by one
        save_animation(Path("a:b c.mp4"), 3 * frames(10, "L", (51, 10)), 120, 1500, scale=20)
    kind, size, session = Path("a:b c.mp4").read_text().split()
    assert (kind, int(size)) == ("file", 41 * 1020 * 200 * 3)  # the last one is held
    assert int(session) not in (0, os.getsid(0))  # which a terminal's Ctrl-C goes to


def test_without_the_package_s_own_ffmpeg_that_of_the_machine_is_taken(monkeypatch):
    def fail():
        raise RuntimeError("No ffmpeg exe could be found")

    package = SimpleNamespace(get_ffmpeg_exe=fail)
    monkeypatch.setattr(animations, "find_spec", lambda name: True)
    monkeypatch.setattr(animations, "import_module", lambda name: package)
    monkeypatch.setattr(animations.shutil, "which", lambda name: "/bin/ffmpeg")
    assert animations._find_ffmpeg() == "/bin/ffmpeg"
    monkeypatch.setattr(animations.shutil, "which", lambda name: None)
    with refused("--format mp4: needs ffmpeg"):
        check_animation("mp4", "--format")


def test_endings_are_known_in_capitals_and_others_refused(tmp_path):
    for name in ("a.GIF", "a.WebP"):
        save_animation(ProgressGif(tmp_path / name, tmp_path).path, frames(2, "RGB"))
        with Image.open(tmp_path / name) as image:
            assert image.format == name[2:].upper()
    for name in ("a.avi", "a"):
        with refused(f"path: got '{name}', expected a .gif, .webp or .mp4 file"):
            ProgressGif(name, tmp_path)
