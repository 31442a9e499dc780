"""Progress of long work: a bar on a terminal, a line about once a minute elsewhere."""

import contextlib
import logging
import sys
import time

log = logging.getLogger(__name__)

FIRST_LINE = 10.0  # seconds until the first line, which has the first estimate
EVERY = 60.0  # seconds between the next ones


def progress(total: int, desc: str, unit: str = "img"):
    """Show progress while a block runs, a tqdm bar or Lines; `update(count)` adds to it."""
    if sys.stderr is None or sys.stderr.closed or not sys.stderr.isatty():
        return Lines(total, desc, unit)
    from tqdm import tqdm  # slow to import, and not needed by --help

    return tqdm(total=total, desc=desc, unit=unit, dynamic_ncols=True)


class Lines(contextlib.nullcontext):
    """Log count, speed and time left: once early, then every minute."""

    def __init__(self, total, desc, unit):
        super().__init__(self)
        self.total, self.desc, self.unit, self.n = total, desc, unit, 0
        self._start = time.monotonic()
        self._next = self._start + FIRST_LINE

    def update(self, count=1):
        self.n += count
        now = time.monotonic()
        if self._next <= now and self.n < self.total:
            self._next = now + EVERY
            speed = self.n / (now - self._start)
            left = duration((self.total - self.n) / speed) if speed else "unknown time"
            rate = f"{speed:,.0f}" if speed >= 10 else f"{speed:.2g}"
            done = f"{self.n:,} of {self.total:,} {self.unit}"
            log.info(f"{self.desc}: {done}, {rate} a second, {left} left")


def duration(seconds: float) -> str:
    """A time span in words: 45 s, 12 min, 3 h 05 min."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"
