"""Ctrl-C and SIGTERM as requests that training looks at between two steps."""

import signal

from dcgan_tf.errors import Interrupted


class StopRequest:
    """Context manager that catches SIGINT and SIGTERM.

    Before `defer` a signal raises Interrupted at once. After it, the first signal only sets
    `signum`, so that the state can be saved; a second one raises KeyboardInterrupt at once.
    """

    def __init__(self):
        self.signum = None
        self._deferring = False
        self._before = {}

    def __enter__(self):
        for signum in (signal.SIGINT, signal.SIGTERM):
            self._before[signum] = signal.signal(signum, self._handle)
        return self

    def __exit__(self, *exception):
        for signum, handler in self._before.items():
            signal.signal(signum, handler)

    def defer(self):
        """From now on the first signal waits for `raise_if_asked`."""
        self._deferring = True

    def raise_if_asked(self):
        """Raise Interrupted if a signal came."""
        if self.signum:
            raise Interrupted(self.signum)

    def _handle(self, signum, frame):
        if not self._deferring:
            raise Interrupted(signum)
        if self.signum:
            raise KeyboardInterrupt
        self.signum = signum
        print("\nsaving after this step; once more to stop at once", flush=True)
