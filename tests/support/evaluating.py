"""Run an evaluation in this process or another, and make a record of one."""

import json

import pytest
from helpers import SHARED
from programs import run_program

from dcgan_tf.evaluate import evaluation, memorization
from dcgan_tf.evaluate.command import parse_evaluation

WEIGHTS = SHARED / "inception" / "inception2015_to_mixed7_fid768.npz"
needs_weights = pytest.mark.skipif(not WEIGHTS.exists(), reason=f"{WEIGHTS} is absent")


def command(*args, cwd):
    """CompletedProcess of `python -m dcgan_tf.evaluate ARGS`."""
    return run_program(("-m", "dcgan_tf.evaluate", *args), cwd)


def score(capsys, *args):
    """The record that a command line prints with --json, in this process."""
    evaluation.evaluate(parse_evaluation([*map(str, args), "--json"]))
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    return json.loads(out)


def record_of(**changes):
    protocol = {
        "reference_count": 10,
        "crop": "center",
        "layer": "mixed_7",
        "versions": {"numpy": 1},
    }
    protocol |= {"scored_sha256": "a" * 64, "generator_sha256": "b" * 64} | changes
    return {"run": "r", "epoch": 1, "fid_768": 1.0, "floor": None, "protocol": protocol}


def examine(capsys, *flags):
    """The record of a search for copies by the run runs/a."""
    request = parse_evaluation(["--run", "runs/a", "--memorization", *flags, "--json"])
    memorization.examine(request.run, request)
    return json.loads(capsys.readouterr().out)
