"""Workers that only a job system's variables tell of each other: environments alone."""

import json
import os

import pytest
from helpers import resolved

from dcgan_tf.common.errors import UserError
from dcgan_tf.train import devices
from dcgan_tf.train.cluster import expand, tell_workers

SLURM = {
    "SLURM_STEP_NODELIST": "gpu[01-02],big",
    "SLURM_STEP_TASKS_PER_NODE": "1(x3)",
    "SLURM_PROCID": "1",
    "SLURM_JOB_ID": "4711",
}
SAGEMAKER = {"SM_HOSTS": '["algo-1", "algo-2"]', "SM_CURRENT_HOST": "algo-2"}
KUBERNETES = {"JOB_COMPLETION_INDEX": "1", "DCGAN_HOSTS": "faces-0.faces,faces-1.faces"}


@pytest.fixture
def workers(monkeypatch):
    """Called with variables and flags, for (the hosts, this worker's number), or None."""

    def call(env, *flags):
        for name in {"TF_CONFIG", *SLURM, *SAGEMAKER, *KUBERNETES}:
            monkeypatch.delenv(name, raising=False)
        for name, value in env.items():
            monkeypatch.setenv(name, value)
        config = resolved(*flags)
        tell_workers(config)
        text = os.environ.pop("TF_CONFIG", None)
        if text is None:
            return None
        monkeypatch.setenv("TF_CONFIG", text)
        index, count = devices.worker(config)
        hosts = json.loads(text)["cluster"]["worker"]
        assert count == len(hosts)
        return hosts, index

    return call


def test_each_system_names_the_workers_and_which_this_one_is(workers):
    several = {"SLURM_STEP_TASKS_PER_NODE": "2(x2),1", "SLURM_PROCID": "3"}
    for env, hosts, index in (
        (SLURM, "gpu01:28176 gpu02:28176 big:28176", 1),
        (SLURM | several, "gpu01:28176 gpu01:28177 gpu02:28176 gpu02:28177 big:28176", 3),
        (SAGEMAKER, "algo-1:2222 algo-2:2222", 1),
        (KUBERNETES, "faces-0.faces:2222 faces-1.faces:2222", 1),
        (KUBERNETES | {"DCGAN_HOSTS": "a:1,b:2"}, "a:1 b:2", 1),
    ):
        assert workers(env) == (hosts.split(), index)


def test_nothing_is_told_where_there_is_one_worker_or_it_is_said_otherwise(workers):
    assert workers(SLURM, "--strategy", "none") is None
    assert workers({name: SLURM[name] for name in ("SLURM_PROCID", "SLURM_JOB_ID")}) is None
    alone = {"SLURM_STEP_NODELIST": "gpu1", "SLURM_STEP_TASKS_PER_NODE": "1", "SLURM_PROCID": "0"}
    assert workers(SLURM | alone) is None
    assert workers({"SM_HOSTS": '["algo-1"]', "SM_CURRENT_HOST": "algo-1"}) is None
    assert (
        workers({"JOB_COMPLETION_INDEX": "3"}) is None
    )  # a Job of trainings that are on their own
    own = {"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 0}}
    assert workers(SLURM | {"TF_CONFIG": json.dumps(own)}) == (["a:1", "b:1"], 0)


@pytest.mark.parametrize(
    ("env", "word"),
    [
        (SLURM | {"SLURM_STEP_TASKS_PER_NODE": "1(x2)"}, "SLURM_STEP_TASKS_PER_NODE='1(x2)'"),
        (SLURM | {"SLURM_STEP_TASKS_PER_NODE": "many"}, "Slurm"),
        (SLURM | {"SLURM_STEP_NODELIST": "gpu[1-x]"}, "Slurm"),
        (SLURM | {"SLURM_PROCID": "x"}, "Slurm"),
        (SAGEMAKER | {"SM_CURRENT_HOST": "algo-3"}, "SM_CURRENT_HOST='algo-3'"),
        (SAGEMAKER | {"SM_HOSTS": "7"}, "SageMaker"),
        (KUBERNETES | {"JOB_COMPLETION_INDEX": ""}, "Kubernetes"),
        (KUBERNETES | {"JOB_COMPLETION_INDEX": "2"}, "TF_CONFIG: got"),
    ],
)
def test_variables_that_name_no_workers_are_refused(workers, env, word):
    with pytest.raises(UserError) as caught:
        workers(env)
    assert word in str(caught.value) and "TF_CONFIG" in str(caught.value)


def test_slurms_lists_of_nodes():
    for nodes, expected in (
        ("n1", "n1"),
        ("n[08-10]", "n08 n09 n10"),
        ("r[1-2]c[3,5],x-1", "r1c3 r1c5 r2c3 r2c5 x-1"),
        ("n[1,3-4]-ib", "n1-ib n3-ib n4-ib"),
    ):
        assert expand(nodes) == expected.split()
