"""What several test files share: the programs as subprocesses, small archives, real data."""

import io
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from dcgan_tf.drawing import draw_face

REPO = Path(__file__).resolve().parent.parent
SHARED = REPO.parent / "shared"
needs_faces = pytest.mark.skipif(
    not (SHARED / "faces").is_dir(), reason="real CelebA faces are not on this machine"
)
needs_mnist = pytest.mark.skipif(
    not (SHARED / "mnist").is_dir(), reason="real MNIST digits are not on this machine"
)


def train(*args, cwd, env=None):
    """`python train.py ARGS` in `cwd`, as a user would; a CompletedProcess with text output."""
    return _run("train.py", args, cwd, env)


def generate(*args, cwd, env=None):
    """`python generate.py ARGS` in `cwd`, likewise."""
    return _run("generate.py", args, cwd, env)


def _run(program, args, cwd, env):
    return subprocess.run(
        [sys.executable, str(REPO / program), *map(str, args)],
        cwd=cwd,
        env={**os.environ, **(env or {})},
        capture_output=True,
        text=True,
        timeout=300,
    )


def faces_zip(folder, count, name="archive.zip"):
    """Path: a zip of `count` drawn faces in the layout of the Kaggle archive, doubled folder."""
    with zipfile.ZipFile(folder / name, "w") as archive:
        for index in range(count):
            buffer = io.BytesIO()
            draw_face(index).save(buffer, "JPEG", quality=92)
            inner = f"img_align_celeba/img_align_celeba/{index + 1:06d}.jpg"
            archive.writestr(inner, buffer.getvalue())
    return folder / name
