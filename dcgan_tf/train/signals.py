"""Signals as requests to stop, which training reads between two steps."""

import contextlib
import os
import signal
import threading

from dcgan_tf.common.errors import Interrupted

_BY_HAND = (signal.SIGINT, signal.SIGTERM)
# What Slurm and SGE send before the time is up, and a terminal that closes; Windows has none.
_NOTICES = [
    getattr(signal, name)
    for name in ("SIGUSR1", "SIGUSR2", "SIGXCPU", "SIGHUP")
    if hasattr(signal, name)
]


class StopRequest:
    """Context manager that catches the signals that ask a program to end.

    Before `defer` a signal raises Interrupted at once. After it, the first signal only sets
    `signum`, so that the state can be saved. A second SIGINT or SIGTERM raises KeyboardInterrupt at
    once; notices may come again and again. Outside of the main thread Python delivers no signals.
    """

    def __init__(self):
        self.signum: int | None = None
        self._deferring, self._before = False, {}

    def __enter__(self):
        if threading.current_thread() is threading.main_thread():
            caught = [*_BY_HAND, *(n for n in _NOTICES if signal.getsignal(n) != signal.SIG_IGN)]
            self._before = {signum: signal.getsignal(signum) for signum in caught}
        self.install()
        return self

    def install(self):
        """Catch the signals, also after a library has taken them."""
        for signum in self._before:
            signal.signal(signum, self._handle)

    def __exit__(self, *exception):
        for signum, handler in self._before.items():
            signal.signal(signum, handler)

    def defer(self):
        """From now on the first signal waits until all is saved."""
        self._deferring = True
        self.install()

    def _handle(self, signum, frame):
        if not self._deferring:
            raise Interrupted(signum)
        if signum in _BY_HAND and self.signum in _BY_HAND:
            raise KeyboardInterrupt(128 + signum)
        first = self.signum is None
        if first or signum in _BY_HAND:
            self.signum = signum
        if first:
            with contextlib.suppress(OSError):  # closed; print could be what was interrupted
                os.write(1, b"\nsaving after this step; press again to stop immediately\n")
