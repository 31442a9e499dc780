"""The same training on one device or many: two and three logical CPUs, two processes."""

import contextlib
import os
import re
import signal
import subprocess
import sys
from functools import cache

import numpy as np
import pytest
from helpers import REPO, assert_refused, train, write_files
from programs import wait_for
from workers import LOW_RATES, TINY, final, finish, start, start_workers

from dcgan_tf.common import checkpoints


@pytest.fixture(scope="module")
def single(tmp_path_factory):
    """Of an optimizer: (state, metrics) of the training on one device, in float64."""

    @cache
    def trained(optimizer):
        cwd = tmp_path_factory.mktemp(f"single-{optimizer}")
        finish(start(cwd, *TINY, "--precision", "float64", optimizer=optimizer))
        return final(cwd)

    return trained


# SGD shows gradients as they are, a wrong scale too, which Adam would take away; Adam has a state.
@pytest.mark.parametrize(
    ("optimizer", "kind"),
    [
        ("sgd", "multiworker"),
        ("adam", "mirrored 2"),
        pytest.param("sgd", "mirrored 3", marks=pytest.mark.nightly),
        pytest.param("adam", "multiworker", marks=pytest.mark.nightly),
    ],
)
def test_weights_agree_to_1e_10_in_float64(single, optimizer, kind, tmp_path):
    expected, metrics = single(optimizer)
    flags = [*TINY, "--precision", "float64"]
    if kind == "multiworker":
        finish(*start_workers(tmp_path, *flags, optimizer=optimizer))
    else:
        devices = int(kind[-1])
        flags += ["--strategy", "mirrored"]
        finish(start(tmp_path, *flags, devices=devices, optimizer=optimizer))
    state, found = final(tmp_path)
    assert state.keys() == expected.keys()
    largest = max(np.abs(state[n].astype(float) - expected[n]).max() for n in state)
    moved = max(np.abs(expected[n]).max() for n in state if n.startswith("generator"))
    assert largest < 1e-10 < moved
    for one, other in zip(metrics, found, strict=True):
        assert one == pytest.approx(other, abs=2e-6)


@pytest.mark.nightly
def test_losses_agree_to_1e_3_in_float32(tmp_path_factory):
    one, two = tmp_path_factory.mktemp("one"), tmp_path_factory.mktemp("two")
    finish(start(one, *TINY, *LOW_RATES))
    finish(start(two, *TINY, *LOW_RATES, "--strategy", "mirrored", devices=2))
    for a, b in zip(final(one)[1], final(two)[1], strict=True):
        # Not the diversity: while pictures hardly differ, it hangs on how each byte is rounded.
        losses = {n: value for n, value in a.items() if n not in ("diversity", "roughness")}
        assert losses == pytest.approx({name: b[name] for name in losses}, abs=1e-3)


def test_a_batch_that_the_devices_cannot_share_is_refused(tmp_path):
    flags = ("--batch-size", "16", "--strategy", "mirrored")
    process = start(tmp_path, *TINY, *flags, devices=3)
    ((_, stderr),) = finish(process, code=2)
    assert "--batch-size 16: cannot be shared equally by 3 devices; 15 or 18" in stderr
    assert not (tmp_path / "runs/a").exists()


def test_one_signal_stops_all_workers_and_all_go_on_exactly(tmp_path_factory):
    whole, stopped = tmp_path_factory.mktemp("whole"), tmp_path_factory.mktemp("stopped")
    finish(*start_workers(whole, *TINY))
    workers = start_workers(stopped, *TINY)
    wait_for_training(workers, stopped)
    workers[1].send_signal(signal.SIGTERM)  # not the chief
    finish(*workers, code=128 + signal.SIGTERM)
    step = checkpoints.read_newest(stopped / "runs/a/checkpoints")[1].step
    assert step < 8
    finish(*start_workers(stopped, *TINY))
    states = [final(cwd)[0] for cwd in (whole, stopped)]
    assert checkpoints.digest_of(states[0]) == checkpoints.digest_of(states[1])
    texts = [(cwd / "runs/a/metrics.jsonl").read_bytes() for cwd in (whole, stopped)]
    assert texts[0] == texts[1]


@pytest.mark.parametrize("victim", [1, pytest.param(0, marks=pytest.mark.nightly)])
def test_killed_worker_ends_the_other_with_a_message(tmp_path, victim):
    workers = start_workers(tmp_path, *TINY, "--epochs", "500")
    wait_for_training(workers, tmp_path)
    workers[victim].kill()
    ((_, stderr),) = finish(workers[1 - victim], code=5)
    last = stderr.splitlines()[-1]
    assert last.startswith("error: another worker died") and "same command" in last
    workers[victim].communicate()


def wait_for_training(workers, cwd):
    log = cwd / "runs/a/log.txt"
    wait_for(lambda: log.exists() and "training in" in log.read_text(), *workers)


@pytest.mark.nightly
def test_worker_whose_fellows_do_not_come_gives_up_with_a_message(tmp_path):
    chief, other = start_workers(tmp_path, *TINY, meeting=11)
    other.kill()
    other.communicate()
    ((_, stderr),) = finish(chief, code=1)
    assert "waiting for the other workers; giving up after 11 seconds" in stderr
    expect_error(chief, "not all workers came within 11 seconds;")


def expect_error(worker, start):
    """Wait for a worker's error, which another process writes."""

    def error():
        return f"\n{worker.communicate()[1]}".rpartition("\nerror: ")[2]

    wait_for(lambda: error().startswith(start), seconds=30)


HANG = """
import json, os, time
from dcgan_tf.models.losses import NonSaturating
class Loss(NonSaturating):
    def generator(self, fake_logits):
        if json.loads(os.environ["TF_CONFIG"])["task"]["index"]:
            time.sleep(600)  # its heartbeat goes on, so TensorFlow waits for it
        return super().generator(fake_logits)
"""


@pytest.mark.nightly
def test_a_first_step_that_hangs_ends_with_a_message(tmp_path):
    (tmp_path / "hang.py").write_text(HANG)
    chief, other = start_workers(tmp_path, *TINY, "--loss", "hang:Loss", meeting=40)
    try:
        finish(chief, code=1)
        expect_error(chief, "the first step with the other workers took over 40 seconds;")
    finally:
        other.kill()
        other.communicate()


SRUN = """#!/bin/bash
# As Slurm's: the command twice, here; a signal goes to both; the highest exit code is its own.
export SLURM_STEP_NODELIST=localhost SLURM_STEP_TASKS_PER_NODE=2
for rank in 0 1; do SLURM_PROCID=$rank "$@" & tasks+=($!); done
trap 'kill -TERM "${tasks[@]}"' TERM
code=0
for task in "${tasks[@]}"; do
    while wait "$task"; own=$?; kill -0 "$task" 2>/dev/null; do :; done
    ((own > code)) && code=$own
done
exit $code
"""


@pytest.fixture
def slurm(tmp_path):
    """Called with a number of epochs for docs/distributed.md's script, started among stand-ins."""
    page = (REPO / "docs/distributed.md").read_text(encoding="utf-8")
    (script,) = re.findall(r"```bash\n(#!/bin/bash.*?)```", page, re.DOTALL)
    dcgan = f'#!/bin/bash\nshift; exec "{sys.executable}" "{REPO / "train.py"}" "$@"\n'
    programs = {"srun": SRUN, "scontrol": '#!/bin/bash\necho "$@" >> requeued\n', "dcgan": dcgan}
    write_files(tmp_path, {f"bin/{name}": text.encode() for name, text in programs.items()})
    for name in programs:
        (tmp_path / "bin" / name).chmod(0o755)
    kept = {name: value for name, value in os.environ.items() if name != "TF_CONFIG"}
    job = str(os.getpid())
    env = kept | {"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}", "SLURM_JOB_ID": job}

    def call(epochs):
        flags = " ".join([*TINY, "--epochs", str(epochs)])
        text, count = re.subn(r"--data .*?--run \S+", flags, script)
        assert count == 1
        return subprocess.Popen(["bash", "-c", text], cwd=tmp_path, env=env, start_new_session=True)

    return call


@pytest.mark.nightly
def test_the_script_for_slurm_saves_is_requeued_and_resumes(slurm, tmp_path):
    """The workers know of each other by Slurm's variables alone."""
    job = slurm(epochs=500)
    try:
        wait_for_training([job], tmp_path)
        job.send_signal(signal.SIGTERM)
        job.wait(60)
        assert (tmp_path / "requeued").read_text() == f"requeue {os.getpid()}\n"
        journal = checkpoints.read_newest(tmp_path / "runs/a/checkpoints")[1]
        assert journal.step > 0 and journal.epoch < 499
        last = journal.epoch + 2
        job = slurm(epochs=last)
        assert job.wait(120) == 0
        assert checkpoints.read_newest(tmp_path / "runs/a/checkpoints")[1].epoch == last
        assert "resuming at step" in (tmp_path / "runs/a/log.txt").read_text()
        assert len((tmp_path / "requeued").read_text().splitlines()) == 1
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(job.pid, signal.SIGKILL)


def test_workers_that_differ_or_share_no_run_are_refused(tmp_path):
    precisions = (("--precision", "float32"), ("--precision", "mixed_bfloat16"))
    for own, what in ((((), ("--seed", "1")), "config"), (precisions, "precision")):
        outputs = finish(*start_workers(tmp_path, *TINY, own_flags=own), code=2)
        assert all(f"the workers differ in their {what};" in stderr for _, stderr in outputs)
    text = '{"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 1}}'
    done = train(*TINY[:-2], cwd=tmp_path, env={"TF_CONFIG": text})
    assert_refused(done, "several workers need --run")
