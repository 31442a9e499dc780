"""Shared by the tests: the programs as subprocesses, drawn faces as files, the real data."""

import contextlib
import functools
import os
import sys
import tracemalloc
import zipfile

import pytest
from programs import REPO, run_program

from dcgan_tf.common.errors import UserError
from dcgan_tf.common.images import encode
from dcgan_tf.data.synthetic import draw_face
from dcgan_tf.train.command import parse_training

SHARED = REPO.parent / "shared"
FACES = SHARED / "faces" / "celeba_train_10k.zip"
MNIST = SHARED / "mnist"
needs_faces = pytest.mark.skipif(not FACES.exists(), reason=f"real CelebA: {FACES} is absent")
needs_mnist = pytest.mark.skipif(not MNIST.exists(), reason=f"real MNIST: {MNIST} is absent")
# The smallest networks: a miniature's time goes into the tracing of its layers.
# In float32: which precision a trial of them finds faster is chance.
TWO_LAYERS = (
    *("--g-channels", "16,16", "--d-channels", "8,8", "--width", "1"),
    *("--precision", "float32"),
)
SMALL = ("--image-size", "16", "--base-size", "4", "--base-channels", "8", *TWO_LAYERS)
SMALL_AT_64 = ("--base-size", "16", "--base-channels", "1", *TWO_LAYERS)


def train(*args, cwd, env=None):
    """CompletedProcess of `python train.py ARGS`, run in `cwd` with `env` on top of ours."""
    return run_program(("train.py", *args), cwd, env)


def generate(*args, cwd, env=None):
    """CompletedProcess of `python generate.py ARGS`."""
    return run_program(("generate.py", *args), cwd, env)


def assert_refused(done, *words, code=2):
    """Assert one line on stderr that has all `words`, the exit code, no traceback."""
    assert done.returncode == code, done.stderr
    assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1, done.stderr
    for word in words:
        assert word in done.stderr


def one_line(call, *args, **named):
    """Return the result of a call, or the line of its refusal; any other error fails the test."""
    try:
        return call(*args, **named)
    except UserError as error:
        message = error.for_command()
        assert message and "\n" not in message and len(message) < 2000 and error.code == 2
        return message


@contextlib.contextmanager
def refused(*words):
    """Fails unless the block ends in a refusal of one line that has all `words`."""
    with pytest.raises(UserError) as caught:
        yield
    message = f"{one_line(_raise, caught.value)}\n{caught.value}"
    assert all(word in message for word in words), message


def _raise(error):
    raise error


@contextlib.contextmanager
def little_memory(most=8e6):
    """Fails where what Python and NumPy take in the block is more than `most` bytes at once."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < most
    finally:
        tracemalloc.stop()


@contextlib.contextmanager
def small_growth(most):
    """Fails where the process grows by more than `most` bytes above the largest it ever was."""
    resource = pytest.importorskip("resource")  # not on Windows
    unit = 1 if sys.platform == "darwin" else 1024
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * unit < most


SPECIAL = ("folder", "pipe", "loop", "broken link", "device", "huge")


def put_special(path, kind):
    """Make a special file at `path`, or one of 5 GiB that takes no room."""
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "huge":
        path.touch()
        os.truncate(path, 5 << 30)
    else:
        path.symlink_to({"loop": path, "broken link": "gone", "device": "/dev/zero"}[kind])


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
