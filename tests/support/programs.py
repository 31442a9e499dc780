"""The project's programs as processes: real files, signals and exit codes, but for the import.

Half of a miniature training is the import of TensorFlow. So on Linux a server imports it once, and
each program begins as a fork of the server. What a program does before that, and under which
environment it still works, is tested with programs from nothing (common/test_start.py).
"""

import atexit
import functools
import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
import tempfile
import time
import types
from multiprocessing import forkserver
from pathlib import Path
from unittest import mock

REPO = Path(__file__).resolve().parents[2]
_OURS = (str(REPO), str(REPO / "tests" / "support"))  # where the server finds what it imports
_READ_LATER = {"TF_CONFIG", "TF_NUM_INTEROP_THREADS", "PYTHONPATH"}
_FORKS = sys.platform == "linux"  # elsewhere a fork may lack what the system had set up


def start_program(words, cwd, env=None, stdout=None, stderr=None):
    """Popen, or an object with its methods, of `python WORDS` in `cwd`.

    Args:
        words: a script of this repository, ("-m", module) or ("-c", code), and arguments.
        env: on top of ours; such a program starts from nothing, unless it only says what is read
            after the import of TensorFlow.
        stdout, stderr: open files; without them, communicate() returns the output.
    """
    words = [str(REPO / words[0]) if words[0].endswith(".py") else words[0], *map(str, words[1:])]
    env = os.environ | (env or {})
    if _FORKS and {name for name in env if env[name] != os.environ.get(name)} <= _READ_LATER:
        return _Fork(words, cwd, env, stdout, stderr)
    streams = {"stdout": stdout or subprocess.PIPE, "stderr": stderr or subprocess.PIPE}
    return subprocess.Popen([sys.executable, *words], cwd=cwd, env=env, encoding="utf-8", **streams)


def run_program(words, cwd, env=None, timeout=600):
    """CompletedProcess of `python WORDS`."""
    process = start_program(words, cwd, env)
    try:
        stdout, stderr = process.communicate(timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    return subprocess.CompletedProcess(words, process.returncode, stdout, stderr)


def wait_for(condition, *processes, seconds=120):
    """Poll until `condition()`; fail if one of the processes ends first."""
    end = time.monotonic() + seconds
    while not condition():
        assert all(process.poll() is None for process in processes), "a process ended early"
        assert time.monotonic() < end, "it never came"
        time.sleep(0.1)


class _Fork:
    """The part of subprocess.Popen that the tests use."""

    def __init__(self, words, cwd, env, stdout, stderr):
        names = [given.name if given else _new_file() for given in (stdout, stderr)]
        self._files = [Path(name).resolve() for name in names]
        arguments = (words, str(cwd), dict(env), *self._files)
        self._process = _context().Process(target=_program, args=arguments)
        self._process.start()
        self.pid = self._process.pid

    @property
    def returncode(self):
        return self._process.exitcode

    poll = returncode.fget

    def wait(self, timeout=None):
        self._process.join(timeout)
        if self.returncode is None:
            raise subprocess.TimeoutExpired(f"process {self.pid}", timeout)
        return self.returncode

    def communicate(self, timeout=None):
        self.wait(timeout)
        return [path.read_text(encoding="utf-8") for path in self._files]

    def send_signal(self, signum):
        if self.poll() is None:
            os.kill(self.pid, signum)

    def kill(self):
        self.send_signal(signal.SIGKILL)


@functools.cache
def _folder():
    return tempfile.TemporaryDirectory()  # deleted when this process ends


def _new_file():
    file, name = tempfile.mkstemp(dir=_folder().name)
    os.close(file)
    return name


def _context():
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["preloaded"])
    with mock.patch.dict(os.environ, {"PYTHONPATH": os.pathsep.join(_OURS)}):
        forkserver.ensure_running()
    return context


def _program(words, cwd, env, out, err):
    """Run `words` in the fork as Python would, its streams to the files `out` and `err`."""
    assert "preloaded" in sys.modules, "the server could not import it"
    multiprocessing.set_start_method(None, force=True)  # as a program has it: tqdm makes a lock
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    # As start_tensorflow has it, which a program with TensorFlow imported does not call again.
    os.environ.setdefault("TF_NUM_INTEROP_THREADS", "1")
    sys.stdin = _open(0, os.devnull, os.O_RDONLY, "r")
    sys.stdout = _open(1, out, os.O_WRONLY | os.O_APPEND, "w")
    sys.stderr = _open(2, err, os.O_WRONLY | os.O_APPEND, "w", errors="backslashreplace")
    added = [path for path in env.get("PYTHONPATH", "").split(os.pathsep) if path]
    sys.path[:] = added + [path for path in sys.path if path not in _OURS]
    try:
        _run(words)
    finally:
        atexit._run_exitfuncs()


def _open(number, path, flags, mode, **kwargs):
    file = os.open(path, flags)
    os.dup2(file, number)
    os.close(file)
    return open(number, mode, encoding="utf-8", closefd=False, **kwargs)


def _run(words):
    kind, rest = words[0], words[1:]
    if kind == "-m":
        sys.argv = rest
        sys.path.insert(0, os.getcwd())
        runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
    elif kind == "-c":
        main = sys.modules["__main__"] = types.ModuleType("__main__")
        sys.argv = ["-c", *rest[1:]]
        sys.path.insert(0, "")
        exec(rest[0], vars(main))
    else:
        sys.argv = words
        sys.path.insert(0, str(Path(kind).parent))
        runpy.run_path(kind, run_name="__main__")
