"""Contenders that take turns, each in its own process, and the table of their speeds.

In one process the thread pools of TensorFlow and PyTorch would disturb each other. The contenders
take turns, round by round, so that other load on the machine falls on all of them.
"""

import argparse
import atexit
import contextlib
import multiprocessing
import os
import platform
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from unittest import mock

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))  # dcgan_tf, where it is not installed

SHARED = {
    "rounds": (5, "turns of each contender"),
    "only": ("", "contenders, by parts of their names: keras,torch"),
    "threads": (0, "threads of each contender, 0: as many as it takes by itself"),
    "cpu_time": (False, "measure processor time: on a busy machine, with --threads 1"),
}


class Missing(Exception):
    """Something that a contender needs and this machine does not have; the text names it."""


@dataclass(frozen=True)
class Contender:
    """One row of a table.

    Attributes:
        prepare: called with the arguments in a process of its own; returns (facts, turn): a dict
            that shows that the work is the same, and a function that does some work and returns
            how much. It raises Missing or ModuleNotFoundError where something is absent.
        env: environment variables on top of ours.
    """

    name: str
    prepare: Callable
    env: dict = field(default_factory=dict)


@dataclass(frozen=True)
class Turn:
    """Work done, seconds it took, and the peak memory of the process in MB."""

    work: float
    seconds: float
    memory: float = 0


def parse(description, **options):
    """Parse the command line of a benchmark, and make a temporary folder for its files.

    Args:
        options: {name: (default, help)} on top of those in SHARED.
    """
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    for name, (default, text) in (SHARED | options).items():
        flag = f"--{name.replace('_', '-')}"
        if default is False:
            parser.add_argument(flag, action="store_true", help=text)
        else:
            text = f"{text} [{default}]" if default != "" else text
            parser.add_argument(flag, type=type(default), default=default, help=text)
    arguments = parser.parse_args()
    arguments.folder = tempfile.mkdtemp()
    atexit.register(shutil.rmtree, arguments.folder)
    return arguments


def describe(arguments):
    """Describe threads, clock and rounds for a title."""
    clock = ", CPU time" if arguments.cpu_time else ""
    return f"threads {arguments.threads or 'all'}{clock}, {arguments.rounds} rounds"


def tensorflow():
    """Start TensorFlow as the commands do."""
    from dcgan_tf.common.start_tensorflow import start_tensorflow

    start_tensorflow()
    import tensorflow as tf

    return tf


def chosen(arguments, names):
    """list of the names that --only has."""
    words = [word.strip().lower() for word in arguments.only.split(",")]
    return [name for name in names if any(word in name.lower() for word in words)]


def compete(contenders, arguments, check):
    """Let the contenders take turns.

    `check` is called with {name: facts} before the clock starts; it raises where the work is not
    the same. Returns {name: [Turn]} with a Turn for each round.
    """
    named = {one.name: one for one in contenders}
    with contextlib.ExitStack() as stack:
        pipes, facts = {}, {}
        for name in chosen(arguments, named):
            pipe = stack.enter_context(_start(named[name], arguments))
            answer = pipe.recv()
            if isinstance(answer, Exception):
                print(f"{name}: left out, {answer}")
            else:
                pipes[name], facts[name] = pipe, answer
        if facts:
            check(facts)
        turns = {name: [] for name in pipes}
        for _ in range(arguments.rounds):
            for name, pipe in pipes.items():
                pipe.send("go")
                turns[name].append(pipe.recv())
    return turns


def run(contenders, arguments, check, title):
    """Let the contenders take turns, and print the table of images a second."""
    found = compete(contenders, arguments, check)
    table(title, found, "images/s")
    return found


@contextlib.contextmanager
def _start(contender, arguments):
    """Yield the pipe to a new process, which imports the script and all else anew."""
    names = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS")
    threads = dict.fromkeys(names, str(arguments.threads)) if arguments.threads else {}
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(contender, arguments, theirs))
    with mock.patch.dict(os.environ, threads | contender.env):
        process.start()
    theirs.close()  # so that `ours` ends with the process
    try:
        yield ours
    finally:
        process.kill()
        process.join()


def _serve(contender, arguments, pipe):
    """Prepare, take one turn to get warm, and one for each message."""
    os.dup2(2, 1)  # standard output is for the tables
    multiprocessing.set_start_method(None, force=True)  # as a program of its own has it
    try:
        facts, turn = contender.prepare(arguments)
    except (ModuleNotFoundError, Missing) as absent:
        return pipe.send(absent)
    turn()
    pipe.send(facts)
    clock = time.process_time if arguments.cpu_time else time.perf_counter
    while pipe.recv():
        start = clock()
        work = turn()
        pipe.send(Turn(work, clock() - start, _peak_memory()))


def _peak_memory():
    import resource  # not on Windows

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def table(title, turns, unit):
    """Print the median, the lowest and the highest of `compete`'s turns, and a ratio.

    The ratio, how many times as fast the first row is, is the median over the rounds. The unit is
    that of the work per second, or "s" for the seconds of one unit of work.
    """
    if not turns:
        return
    print(f"\n{title}\n{machine()}; ratio: how many times as fast the first line is")
    print(f"  {'':38}{unit:>10}  {'lowest to highest':>20}{'ratio':>8}")
    speeds = {name: [turn.work / turn.seconds for turn in own] for name, own in turns.items()}
    ours = next(iter(speeds.values()))
    for name, own in speeds.items():
        shown = [1 / speed for speed in own] if unit == "s" else own
        ratio = statistics.median(a / b for a, b in zip(ours, own, strict=True))
        spread = f"{_short(min(shown))} to {_short(max(shown))}"
        print(f"  {name:38}{_short(statistics.median(shown)):>10}  {spread:>20}{ratio:8.2f}")


def _short(number):
    return f"{number:,.0f}" if number >= 1000 else f"{number:.3g}"


def machine():
    """Name the processor, its cores, and the load of the machine."""
    name = platform.processor() or platform.machine()
    with contextlib.suppress(OSError, StopIteration):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next(line.split(": ")[1] for line in lines if line.startswith("model name"))
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    return f"{name}, {os.cpu_count()} cores{load}"
