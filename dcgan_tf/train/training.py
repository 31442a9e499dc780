"""Run the training of a request, from the checks to the report."""

import contextlib
import logging

import numpy as np
import tensorflow as tf

from dcgan_tf.common import checkpoints
from dcgan_tf.common.errors import WORKER_LOST, Interrupted, UserError, is_file_system_error
from dcgan_tf.common.errors import describe as describe_error
from dcgan_tf.common.images import default_scale, enlarge, grid, save_png
from dcgan_tf.common.limits import counted
from dcgan_tf.common.runs import Run, mark_latest
from dcgan_tf.common.suggestions import path_flag, typed
from dcgan_tf.report.page import write_report
from dcgan_tf.train import devices, run_lock
from dcgan_tf.train.build import build_callbacks
from dcgan_tf.train.callbacks.base import attempt
from dcgan_tf.train.callbacks.control import last_checkpoint
from dcgan_tf.train.callbacks.logs import Tracker
from dcgan_tf.train.command import TRACKERS, Request
from dcgan_tf.train.images import is_finished
from dcgan_tf.train.session import Session, open_session
from dcgan_tf.train.signals import StopRequest

log = logging.getLogger(__name__)

REAL_IMAGES = 64  # in reals.png

# Errors of TensorFlow in a collective operation when another worker is gone.
_LOST = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.InternalError,
)


def run_training(request: Request) -> tuple[Run, int]:
    """Run the training of a request.

    Returns:
        The run, and the exit code: 0 when all epochs are done, 128 + signal after a signal.

    Raises:
        UserError: bad input, a run in use by another process, losses that became NaN, a lost
            worker, a full disk, or too little memory.
    """
    worker = devices.worker(request.config)
    own = run_lock.claim(request) if worker[0] == 0 else run_lock.join(request)
    with StopRequest() as stop, own as run:
        found = checkpoints.read_newest(run.checkpoints)
        if found and is_finished(request):
            done = counted(found[1].epoch, "epoch")
            length = "--images" if request.config.images else "--epochs"
            log.info(f"{run.root} is finished: {done}. A larger {length} extends it.")
            if worker[0] == 0:
                _write_report(run)
            return run, 0
        with _explain_errors(run, worker[1]) if worker[1] > 1 else contextlib.nullcontext():
            session = open_session(request, run, stop, worker, found)
        own_callbacks = list(request.callbacks)
        if session.chief and request.tracker in TRACKERS:
            own_callbacks.append(Tracker(request.tracker, run, session.config))
        callbacks = build_callbacks(session, own_callbacks)
        if session.chief:
            run_lock.save_config(run, request.config, session.changes)  # all checks are done
            mark_latest(run)
            draw_reals(run, session.pack.pixels, request.config.seed)
        resume = f"{typed('train')} {path_flag('--run', run.root)}"
        if request.tracker in TRACKERS:  # which config.toml does not keep
            resume += f" --tracker {request.tracker}"
        if request.by_program:
            resume = "the same call" + f" with run={str(run.root)!r}" * (not request.run_dir)
        log.info(f"training in {run.root} on {devices.describe(session.strategy)}")
        log.info(f"to stop: Ctrl-C; to resume later: {resume}")
        stop.defer()
        code = 0
        try:
            workers = session.workers
            with _explain_errors(run, workers), devices.watch_first_step(workers) as watch:
                session.fit([*watch, *callbacks])
        except Interrupted as interruption:
            code = interruption.code
        except BaseException:
            if session.chief and run.report.exists():
                with contextlib.suppress(Exception):  # the first error matters more
                    write_report((run,), run.report)  # it no longer says that the training runs
            raise
        else:
            _leave_together(session)
        if session.chief:
            _write_report(run)
        journal, config = session.journal, session.config
        epochs = config.epochs_of(journal.steps_per_epoch * config.batch_size)
        if journal.epoch < epochs:  # because of a signal, or of a user's callback
            log.info(f"saved at step {journal.step} (epochs done: {journal.epoch})")
            log.info(f"to resume: {resume}")
        else:
            log.info(f"done: {counted(journal.epoch, 'epoch')} in {run.root}")
        if not code:
            log.info(f"next: {typed('generate')} {path_flag('--run', run.root)} --n 64")
        return run, code


def draw_reals(run: Run, pixels: np.ndarray, seed: int):
    """Write reals.png: some training images, chosen by the seed."""
    rows = np.random.default_rng(seed).permutation(len(pixels))[:REAL_IMAGES]
    with attempt(run.reals):
        canvas = grid(pixels[rows], columns=8 if len(rows) > 8 else 4)  # the report shows two rows
        save_png(run.reals, enlarge(canvas, default_scale(canvas.shape[1])))


def _write_report(run: Run):
    """Write report.html; a failure is a warning, because the training is already saved."""
    with attempt(run.report):
        write_report((run,), run.report)


def _leave_together(session: Session):
    """Wait for the other workers, for which an early exit would look like an error.

    One that leaves while its last message is under way gives another a harmless error.
    """
    try:
        session.meet(step=str(session.journal.step))
    except _LOST as error:
        log.debug(f"another worker left first: {type(error).__name__}")


@contextlib.contextmanager
def _explain_errors(run: Run, workers: int):
    """Turn errors of disk, memory or workers into one line that names the last checkpoint."""
    try:
        yield
    except _LOST:
        if workers == 1:
            raise
        raise UserError(
            f"another worker died; {last_checkpoint(run)}; "
            "start all workers again with the same command to resume from there",
            code=WORKER_LOST,
        ) from None
    except OSError as error:
        if not is_file_system_error(error):
            raise
        place = "" if error.filename else f"{run.root}: "
        raise UserError(f"{place}{describe_error(error)}; {last_checkpoint(run)}") from None
    except (MemoryError, tf.errors.ResourceExhaustedError):
        raise UserError(
            f"out of memory; {last_checkpoint(run)}; close other programs, "
            "or start a new run with a smaller --batch-size or --width"
        ) from None
