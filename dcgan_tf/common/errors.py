"""Errors that stop a command, and its exit codes."""

import errno
import re

from dcgan_tf.common import limits

BAD_INPUT = 2  # also what argparse and most Unix tools use
DIVERGED = 3
IN_USE = 4
WORKER_LOST = 5
# Flags that a library names as parameters: the first one, and those in advice.
_FLAGS = re.compile(r"^--[\w-]+|--(batch-size|width|latent-dim|[gd]-learning-rate)\b")


class UserError(ValueError):
    """An error that the user can correct, shown as one line without a traceback.

    Its text begins with a parameter, `max_bad`; that of `for_command` with the flag, `--max-bad`.

    Args:
        message: one line that names what came, what was expected and what to do.
        code: exit code of the process.
        flag: beginning of the line for a command, such as "--data DIR".
        param: instead of `flag`, the parameter or setting, such as "batch_size".

    Examples:
        >>> from dcgan_tf import Config, UserError
        >>> try:
        ...     Config(batch_size=1)
        ... except UserError as error:  # a ValueError
        ...     print(error)
        batch_size: got 1, expected a whole number between 2 and 65536
    """

    def __init__(self, message, code=BAD_INPUT, flag="", param=""):
        flag = flag or (f"--{param.replace('_', '-')}" if param else "")
        self.message, self.code, self.flag = message, code, flag
        line = self.for_command()
        super().__init__(_FLAGS.sub(lambda match: match[0][2:].replace("-", "_"), line))

    def for_command(self) -> str:
        """The line with the flag in place of the parameter, `batch_size` -> `--batch-size`."""
        return f"{self.flag}: {self.message}" if self.flag else self.message


def not_installed(what: str, extra: str, flag: str = "") -> UserError:
    """The error for a missing package of an extra: how to get it."""
    how = "not installed here; run in the project's folder: pip install"
    return UserError(f'needs {what}, {how} ".[{extra}]"', flag=flag)


class Interrupted(BaseException):
    """A signal asked the process to end; no `except Exception` swallows a BaseException."""

    def __init__(self, signum):
        super().__init__(f"signal {signum}")
        self.code = 128 + signum


_PLACE = "choose another place"
_AGAIN = "then run the same command again"
_NETWORK_DISK = f"the connection to a network disk broke: mount it, {_AGAIN}"
_FILE_SYSTEM_ERRORS = {  # advice after the operating system's message
    **dict.fromkeys((errno.EROFS, errno.ENOTDIR, errno.EEXIST, errno.EISDIR, errno.ELOOP), _PLACE),
    **dict.fromkeys((errno.EBUSY, errno.ENOTEMPTY, errno.ENOTSUP), _PLACE),
    **dict.fromkeys((errno.EACCES, errno.EPERM), f"grant permission or {_PLACE}"),
    **dict.fromkeys((errno.ESTALE, errno.ENOTCONN, errno.ETIMEDOUT), _NETWORK_DISK),
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT), f"free some disk space, {_AGAIN}"),
    errno.EFBIG: "the largest file allowed here is smaller: raise the limit (ulimit -f)",
    errno.ENOENT: f"it was there before: put it back, {_AGAIN}",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.EMFILE: "raise the limit of open files (ulimit -n)",
    errno.ENFILE: "close some programs",
    errno.EIO: f"the disk or its connection fails: check it, {_AGAIN}",
    errno.ENOLCK: "this file system has no locks: put --run and --packs on another disk",
    errno.ENOMEM: "close some programs, or use a smaller --batch-size or --width",
}


def is_file_system_error(error: OSError) -> bool:
    """Whether an OSError is about the user's disk, path or permissions."""
    return error.errno in _FILE_SYSTEM_ERRORS


def is_unreadable(error: Exception) -> bool:
    """Whether an error means an unreadable file; damaged zips raise EINVAL or have no errno."""
    if isinstance(error, OSError):
        return error.errno not in (None, errno.EINVAL, errno.ENOENT)
    return isinstance(error, MemoryError)


def describe(error: OSError) -> str:
    """Describe an error of the file system: what failed, where, and what to do."""
    place = f"{error.filename}: " if error.filename else ""
    advice = _FILE_SYSTEM_ERRORS.get(error.errno or 0, "check the path")
    return f"{place}{error.strerror}; {advice}"


def one_line(error: BaseException) -> str:
    """The first line of an exception's message, at most 200 characters; else its type."""
    text = str(error.args[0] if isinstance(error, KeyError) and error.args else error)
    first = (text.strip().splitlines() or [type(error).__name__])[0]
    first = "".join(c if c.isprintable() else " " for c in first)  # without a terminal's colors
    return limits.shorten(" ".join(first.split()), 200)
