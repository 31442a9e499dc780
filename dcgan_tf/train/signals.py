"""Ctrl-C and SIGTERM as requests that training looks at between two steps."""

import contextlib
import os
import signal

from dcgan_tf.common.errors import Interrupted

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopRequest:
    """Context manager that catches SIGINT and SIGTERM.

    Before `defer` a signal raises Interrupted at once. After it, the first signal only sets
    `signum`, so that the state can be saved; a second one raises KeyboardInterrupt at once.

    Attributes:
        signum: the signal that came, None before.
        agreed: whether all workers know of it (set by callbacks.StepCounter).
    """

    def __init__(self):
        self.signum = None
        self.agreed = False
        self._deferring = False

    def __enter__(self):
        self._before = {signum: signal.getsignal(signum) for signum in _SIGNALS}
        self._install()
        return self

    def _install(self):
        for signum in _SIGNALS:
            signal.signal(signum, self._handle)

    def __exit__(self, *exception):
        for signum, handler in self._before.items():
            signal.signal(signum, handler)

    def defer(self):
        """From now on the first signal waits for `raise_if_agreed`."""
        self._deferring = True
        self._install()  # TensorFlow's multi-worker set-up has put its own handler for SIGTERM

    def raise_if_agreed(self):
        """Raise Interrupted if all workers know that one of them was asked to stop."""
        if self.agreed:
            raise Interrupted(self.signum or signal.SIGTERM)

    def _handle(self, signum, frame):
        if not self._deferring:
            raise Interrupted(signum)
        if self.signum:
            raise KeyboardInterrupt
        self.signum = signum
        with contextlib.suppress(OSError):  # closed; print could be what was interrupted
            os.write(1, b"\nsaving after this step; once more to stop at once\n")
