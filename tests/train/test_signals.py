"""Signals that ask a training to save and end, in the main thread and in none."""

import os
import signal
import threading

import pytest

from dcgan_tf.common.cli import run_command
from dcgan_tf.common.errors import Interrupted
from dcgan_tf.train.signals import StopRequest

NAMES = ("SIGINT", "SIGTERM", "SIGUSR1", "SIGUSR2", "SIGXCPU", "SIGHUP")
SIGNALS = [getattr(signal, name) for name in NAMES if hasattr(signal, name)]


def send(signum):
    os.kill(os.getpid(), signum)


@pytest.fixture(autouse=True)
def handlers():
    """Handlers of the test's own, so that a signal nobody catches fails it and does not end it."""
    before = {signum: signal.signal(signum, fail) for signum in SIGNALS}
    yield
    for signum, handler in before.items():
        signal.signal(signum, handler)


def fail(signum, frame):
    raise AssertionError(f"signal {signum} was not caught")


@pytest.mark.parametrize("signum", SIGNALS)
def test_a_signal_saves_first_and_ends_with_128_and_its_number_a_second_at_once(signum, capsys):
    with StopRequest() as stop:
        with pytest.raises(Interrupted) as caught:  # there is nothing to save yet
            send(signum)
        assert caught.value.code == 128 + signum
        stop.defer()
        send(signum)
        assert stop.signum == signum
    assert signal.getsignal(signum) is fail

    def main(argv):
        with StopRequest() as stop:
            stop.defer()
            send(signum)
            send(signum)

    if signum in (signal.SIGINT, signal.SIGTERM):
        assert run_command(main, []) == 128 + signum
        assert "stopped at once" in capsys.readouterr().err


def test_a_notice_comes_again_and_again_and_one_that_is_ignored_stays_so():
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # under nohup
    with StopRequest() as stop:
        stop.defer()
        send(signal.SIGHUP)
        assert stop.signum is None
        for _ in range(3):
            send(signal.SIGXCPU)
        send(signal.SIGTERM)  # Slurm's, when the time is up
        assert stop.signum == signal.SIGTERM
        with pytest.raises(KeyboardInterrupt):
            send(signal.SIGINT)


def test_in_a_thread_a_training_goes_without():
    found = []

    def train():
        with StopRequest() as stop:
            stop.defer()
            found.append(stop.signum)

    thread = threading.Thread(target=train)
    thread.start()
    thread.join()
    assert found == [None] and signal.getsignal(signal.SIGINT) is fail
