"""Zip files whose list of names is no larger than what is expected of them.

`zipfile` makes an object of several hundred bytes of each name, so a list of a few hundred
megabytes would fill the memory before an entry could be looked at.
"""

import contextlib
import os
import zipfile

from dcgan_tf.common import limits
from dcgan_tf.common.errors import is_file_system_error


@contextlib.contextmanager
def open_zip(file, most=limits.ZIP_INDEX_BYTES):
    """Open a zip for reading; yields zipfile.ZipFile.

    Args:
        file: a path, or a file open for reading bytes, which stays open; most: bytes of its list.

    Raises:
        zipfile.BadZipFile: no zip, or a longer list; what else zipfile raises.
        OSError: the disk or its connection fails.
    """
    with contextlib.ExitStack() as stack:
        if isinstance(file, (str, os.PathLike)):
            file = stack.enter_context(open(file, "rb"))
        bounded = Bounded(file, most)
        try:
            archive = stack.enter_context(zipfile.ZipFile(bounded))
        except zipfile.BadZipFile as error:
            # It says "File is not a zip file" of one that cannot be read at the moment.
            cause = error.__context__
            if isinstance(cause, OSError) and is_file_system_error(cause):
                raise cause from None
            raise
        bounded.most = None
        yield archive


class Bounded:
    """A file that refuses to read very much at once, as a zip's end may ask for."""

    def __init__(self, file, most):
        self._file, self.most = file, most

    def __getattr__(self, name):
        return getattr(self._file, name)

    def read(self, count=-1):
        if self.most is not None and count > self.most:
            raise zipfile.BadZipFile(
                f"its list of names has {limits.in_words(count)}, "
                f"{limits.in_words(self.most)} are read"
            )
        return self._file.read(count)
