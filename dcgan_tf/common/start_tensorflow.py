"""Import TensorFlow without its greeting: a dozen lines that look like errors and are none."""

import contextlib
import os
import sys
import tempfile

# TF_CPP_MIN_LOG_LEVEL does not reach these, which are written before it is read.
_HARMLESS = (
    b"I0000 ",
    b"WARNING: All log messages before absl",
    b"To enable the following instructions",
    b"failed call to cuInit",  # there is no GPU
)


def start_tensorflow():
    """Import TensorFlow and find its devices; what it writes to stderr is filtered.

    Without a GPU operations run one after the other, which makes what they compute exact; a user's
    own TF_NUM_INTEROP_THREADS is left as it is.

    Warnings that matter, such as a GPU whose libraries are missing, still come through.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    with _filtered_stderr():
        import tensorflow as tf

        gpus = tf.config.list_physical_devices("GPU")
        for gpu in gpus:
            # Otherwise the first process takes all of a GPU's memory, and no other fits beside it.
            tf.config.experimental.set_memory_growth(gpu, True)
        if not gpus:
            # One operation at a time: how two of oneDNN's that run side by side split their sums
            # depends on the moment, and so would every bit. GPUs are fed by several threads.
            os.environ.setdefault("TF_NUM_INTEROP_THREADS", "1")


@contextlib.contextmanager
def _filtered_stderr():
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as caught:
        os.dup2(caught.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            caught.seek(0)
            lines = [line for line in caught if not any(word in line for word in _HARMLESS)]
            os.write(2, b"".join(lines))
