"""Contenders that take turns, each in a process of its own, and the table of their times.

The thread pools of TensorFlow and PyTorch would disturb each other in one process; and turns, round
by round, so that whatever else the machine does falls on all of them.
"""

import argparse
import contextlib
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))  # dcgan_tf, where it is not installed


class Missing(Exception):
    """What a contender needs and this machine has not; the text says what."""


@dataclass(frozen=True)
class Contender:
    """One line of a table.

    Attributes:
        prepare: called with the arguments in a process of its own; returns (facts, turn): a dict
            for JSON that shows that the work is the same, and a function that does some of it and
            returns how much. It raises Missing or ModuleNotFoundError where something is not there.
        python: the interpreter of that process.
        env: environment variables on top of ours.
    """

    name: str
    prepare: Callable
    python: str = sys.executable
    env: dict = field(default_factory=dict)


def parser(description, **options):
    """argparse's parser with the options that all benchmarks share, and its own.

    Args:
        options: {name: (default, help)}.
    """
    made = argparse.ArgumentParser(description=description.splitlines()[0])
    options = {"rounds": (5, "turns of each contender"), **options}
    for name, (default, text) in options.items():
        flag, text = f"--{name.replace('_', '-')}", f"{text} [{default}]"
        made.add_argument(flag, type=type(default), default=default, help=text)
    made.add_argument("--only", default="", help="contenders, by parts of their names: keras,torch")
    for hidden in ("--contender", "--folder"):  # how a process is told what it is to do
        made.add_argument(hidden, default="", help=argparse.SUPPRESS)
    return made


def add_threads(made):
    """Add --threads and --cpu-time to a parser."""
    made.add_argument("--threads", type=int, default=0, help="of each contender [all cores]")
    text = "count the processor's time: on a machine with other programs, with --threads 1"
    made.add_argument("--cpu-time", action="store_true", help=text)


def add_torch(made):
    """Add --torch-python to a parser."""
    python = os.environ.get("DCGAN_TORCH_PYTHON", sys.executable)
    made.add_argument(
        "--torch-python", default=python, help="interpreter with PyTorch [DCGAN_TORCH_PYTHON]"
    )


def how(arguments):
    """Describe in a title what `add_threads` and `parser` asked for."""
    clock = ", CPU time" if arguments.cpu_time else ""
    return f"threads {arguments.threads or 'all'}{clock}, {arguments.rounds} rounds"


def tensorflow():
    """Start TensorFlow as the commands do."""
    from dcgan_tf.common.start_tensorflow import start_tensorflow

    start_tensorflow()
    import tensorflow as tf

    return tf


def wanted(arguments):
    """A function of a contender's name: whether --only has it."""
    words = [word.strip().lower() for word in arguments.only.split(",")]
    return lambda name: any(word in name.lower() for word in words)


@contextlib.contextmanager
def folder_of(arguments):
    """Yield the folder in which the processes of one benchmark find each other's files."""
    if arguments.folder:
        yield Path(arguments.folder)
        return
    with tempfile.TemporaryDirectory() as folder:
        arguments.folder = folder
        yield Path(folder)


def compete(contenders, arguments, check):
    """Let the contenders take turns; in the process of one of them, do its work.

    `check` is called with {name: facts} before the clock starts, to raise where the work is not the
    same. Returns {name: [Turn]} with a Turn for each round.
    """
    mine = [one for one in contenders if one.name == arguments.contender]
    if mine:
        _serve(mine[0], arguments)
        raise SystemExit
    chosen = wanted(arguments)
    with contextlib.ExitStack() as stack:
        processes, facts = {}, {}
        for one in contenders:
            if not chosen(one.name):
                continue
            process = stack.enter_context(_started(one, arguments))
            answer = _heard(process, one.name)
            if "missing" in answer:
                print(f"{one.name}: left out, {answer['missing']}")
                continue
            processes[one.name], facts[one.name] = process, answer["facts"]
        check(facts)
        turns = {name: [] for name in processes}
        for _ in range(arguments.rounds):
            for name, process in processes.items():
                print(file=process.stdin, flush=True)
                turns[name].append(Turn(**_heard(process, name)))
    return turns


@dataclass(frozen=True)
class Turn:
    """What was done, how long it took, and the most memory that the process ever had, MB."""

    work: float
    seconds: float
    memory: float


def run(contenders, arguments, check, title):
    """Let the contenders take turns, and print the table of images a second."""
    with folder_of(arguments):
        found = compete(contenders, arguments, check)
    table(title, found, "images/s")
    return found


@contextlib.contextmanager
def _started(contender, arguments):
    command = [contender.python, *sys.argv, "--folder", arguments.folder]
    count = getattr(arguments, "threads", 0)  # 0: as many as each library takes by itself
    names = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS")
    threads = dict.fromkeys(names, str(count)) if count else {}
    process = subprocess.Popen(
        [*command, "--contender", contender.name],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ | threads | contender.env,
        text=True,
    )
    try:
        yield process
    finally:
        process.stdin.close()  # at which it ends
        process.wait()


def _heard(process, name):
    line = process.stdout.readline()
    if not line:
        raise SystemExit(f"error: {name}: ended with exit code {process.wait()}")
    return json.loads(line)


def _serve(contender, arguments):
    """Prepare, take one turn to get warm, and one for each line on stdin."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever a library prints is no answer

    def say(**answer):
        print(json.dumps(answer), file=answers, flush=True)

    try:
        facts, turn = contender.prepare(arguments)
    except ModuleNotFoundError as error:
        return say(missing=f"{error.name} is not installed in {sys.executable}")
    except Missing as missing:
        return say(missing=str(missing))
    turn()
    say(facts=facts)
    clock = time.process_time if getattr(arguments, "cpu_time", False) else time.perf_counter
    for _ in sys.stdin:
        start = clock()
        work = turn()
        say(work=work, seconds=clock() - start, memory=_memory())


def _memory():
    import resource  # not on Windows

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def speeds(turns):
    """{name: work a second}, the median of its turns, of `compete`'s turns."""
    found = {name: [turn.work / turn.seconds for turn in own] for name, own in turns.items()}
    return {name: statistics.median(own) for name, own in found.items()}


def table(title, turns, unit):
    """Print the median, the lowest and the highest of `compete`'s turns, and a ratio.

    The ratio, how many times as fast the first line is, is the median of the rounds' own ratios.
    The unit is that of the work in a second, or "s" for the seconds of one.
    """
    print(f"\n{title}\n{machine()}; ratio: how many times as fast the first line is")
    print(f"  {'':38}{unit:>10}  {'lowest to highest':>20}{'ratio':>8}")
    speeds = {name: [turn.work / turn.seconds for turn in own] for name, own in turns.items()}
    ours = next(iter(speeds.values()), [])
    for name, own in speeds.items():
        shown = [1 / speed for speed in own] if unit == "s" else own
        ratio = statistics.median(a / b for a, b in zip(ours, own, strict=True))
        spread = f"{_short(min(shown))} to {_short(max(shown))}"
        print(f"  {name:38}{_short(statistics.median(shown)):>10}  {spread:>20}{ratio:8.2f}")


def _short(number):
    return f"{number:,.0f}" if number >= 1000 else f"{number:.3g}"


def machine():
    """Name the processor, its cores, and how much else it has to do."""
    name = platform.processor() or platform.machine()
    with contextlib.suppress(OSError, StopIteration):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next(line.split(": ")[1] for line in lines if line.startswith("model name"))
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    return f"{name}, {os.cpu_count()} cores{load}"
