"""The devices that auto takes, and TF_CONFIG, before anything connects."""

import json
import signal
import time
from types import SimpleNamespace

import psutil
import pytest
import tensorflow as tf
from helpers import resolved

from dcgan_tf.common.errors import UserError
from dcgan_tf.train import devices, training

HOSTS = ["a:1", "b:65535", "c:2222"]


def cluster(hosts=HOSTS, index=0, kind="worker", **more):
    return json.dumps({"cluster": {"worker": hosts} | more, "task": {"type": kind, "index": index}})


def worker(monkeypatch, text):
    monkeypatch.setenv("TF_CONFIG", text)
    return devices.worker(resolved("--strategy", "multiworker"))


def test_each_worker_knows_its_number_and_how_many_there_are(monkeypatch):
    for text, expected in (
        *((cluster(index=i), (i, 3)) for i in range(3)),
        (cluster(index="2"), (2, 3)),  # as some job systems write it
        (cluster(kind="chief", chief=["z:9"]), (0, 4)),
        (cluster(index=1, chief=["z:9"]), (2, 4)),
    ):
        assert worker(monkeypatch, text) == expected
    assert devices.worker(resolved("--strategy", "none")) == (0, 1)


@pytest.mark.parametrize(
    "text",
    [
        *("", "{}", "[]", "3", "null", "not json", "[" * 100_000),
        *(cluster(hosts) for hosts in ([], {}, None, "a:1", [1, 2], [None], [[]], ["a"])),
        *(cluster([host, "b:1"]) for host in ("a:99999", "a:0", "a:-1", "a:", ":1", "a:1.5")),
        *(cluster([host]) for host in ("a:٣", "a:99999999999999999999", "", " :1", "b:1\n")),
        cluster(["a:1", "a:1"]),
        *(cluster(index=i) for i in (-1, 3, 10**30, None, [], "x", 1e300, "9" * 5000)),
        *(cluster().replace('"index": 0', f'"index": {i}') for i in ("Infinity", "NaN")),
        *(cluster(kind=kind) for kind in ("ps", "", None, [])),
        cluster(["a:1"] * 200_000),
    ],
    ids=lambda text: text[:60],
)
def test_what_names_no_hosts_is_refused_in_one_short_line(text, monkeypatch):
    with pytest.raises(UserError, match="^TF_CONFIG: got .* expected JSON such as") as caught:
        worker(monkeypatch, text)
    assert len(str(caught.value)) < 1000 and "\n" not in str(caught.value)


def test_auto_takes_several_gpus_from_32_images_for_each_on_and_says_so(monkeypatch, caplog):
    caplog.set_level("INFO")
    gpus = [SimpleNamespace(name=f"GPU:{n}") for n in range(2)]
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda kind: gpus)
    mirrored = SimpleNamespace(num_replicas_in_sync=2)
    monkeypatch.setattr(tf.distribute, "MirroredStrategy", lambda names: mirrored)
    assert devices.open_strategy(resolved("--batch-size", 64)) is mirrored
    assert not caplog.messages
    assert devices.open_strategy(resolved("--batch-size", 62)).num_replicas_in_sync == 1
    assert "one of 2 GPUs is used: auto takes all from --batch-size 64 on" in caplog.text
    asked = resolved("--batch-size", 8, "--strategy", "mirrored")
    assert devices.open_strategy(asked) is mirrored
    del gpus[1:]
    assert devices.open_strategy(resolved("--batch-size", 64)).num_replicas_in_sync == 1
    assert len(caplog.messages) == 1


@pytest.mark.slow
def test_the_process_that_speaks_for_one_that_waits_outlives_a_ctrl_c():
    before = psutil.Process().children()
    with devices.end_after(60, "nobody came"):
        (speaker,) = set(psutil.Process().children()) - set(before)
        time.sleep(1)  # until it has begun
        speaker.send_signal(signal.SIGINT)
        with pytest.raises(psutil.TimeoutExpired):
            speaker.wait(1)


@pytest.mark.parametrize("lost", [tf.errors.UnavailableError, tf.errors.AbortedError])
def test_a_worker_that_leaves_first_at_the_end_is_no_error(lost):
    def meet(**values):
        raise lost(None, None, "recvmsg:Connection reset by peer")

    journal = SimpleNamespace(step=8)
    assert training._leave_together(SimpleNamespace(meet=meet, journal=journal)) is None
