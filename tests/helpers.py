"""What the tests share: the programs as subprocesses, drawn faces as files, the real data."""

import functools
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from dcgan_tf.common.images import encode
from dcgan_tf.data.synthetic import draw_face
from dcgan_tf.train.command import parse_training

REPO = Path(__file__).resolve().parent.parent
SHARED = REPO.parent / "shared"
FACES = SHARED / "faces" / "celeba_train_10k.zip"
MNIST = SHARED / "mnist"
needs_faces = pytest.mark.skipif(not FACES.exists(), reason=f"real CelebA: {FACES} is absent")
needs_mnist = pytest.mark.skipif(not MNIST.exists(), reason=f"real MNIST: {MNIST} is absent")


def train(*args, cwd, env=None):
    """CompletedProcess of `python train.py ARGS`, run in `cwd` with `env` on top of ours."""
    return _run("train.py", args, cwd, env)


def generate(*args, cwd, env=None):
    """CompletedProcess of `python generate.py ARGS`."""
    return _run("generate.py", args, cwd, env)


def _run(script, args, cwd, env):
    return subprocess.run(
        [sys.executable, str(REPO / script), *map(str, args)],
        cwd=cwd,
        env=os.environ | (env or {}),
        capture_output=True,
        encoding="utf-8",
        timeout=600,
    )


def assert_refused(done, *words, code=2):
    """One line on stderr that has all `words`, the exit code, no traceback."""
    assert done.returncode == code, done.stderr
    assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1, done.stderr
    for word in words:
        assert word in done.stderr


def resolved(*argv):
    """The config of a command line of train.py."""
    return parse_training(list(map(str, argv))).config


@functools.cache
def face_jpeg(index):
    """bytes: a drawn face as CelebA would have it, a JPEG of 178x218."""
    return encode(draw_face(index), "JPEG", quality=92)


def write_files(root, files):
    """Path: the folder `root` with {name: bytes} in it."""
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return root


def write_zip(path, files, compression=zipfile.ZIP_STORED):
    """Path: a zip of {name: bytes}."""
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def kaggle_faces(count):
    """{name: bytes} of drawn faces, in the doubled folder of Kaggle's archive."""
    folder = "img_align_celeba/img_align_celeba"
    return {f"{folder}/{index + 1:06d}.jpg": face_jpeg(index) for index in range(count)}


def faces_zip(folder, count):
    """Path: an archive like Kaggle's CelebA with `count` drawn faces."""
    return write_zip(folder / "faces.zip", kaggle_faces(count))
