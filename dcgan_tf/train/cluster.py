"""Read from a job system's variables what TF_CONFIG would say: the workers, and which this one is.

Slurm: the step that srun started. SageMaker: SM_HOSTS, SM_CURRENT_HOST. Kubernetes: an indexed Job,
whose manifest lists the pods' names at a headless service in DCGAN_HOSTS.
"""

import json
import logging
import os
import re

from dcgan_tf.common import limits
from dcgan_tf.common.config import Config
from dcgan_tf.common.errors import UserError

log = logging.getLogger(__name__)

PORT = 2222


def tell_workers(config: Config):
    """Set TF_CONFIG for this process, where a job system names several workers and nothing else.

    Raises:
        UserError: variables that cannot be understood.
    """
    if os.environ.get("TF_CONFIG") or config.strategy not in ("auto", "multiworker"):
        return
    for system, find in (("Slurm", _slurm), ("SageMaker", _sagemaker), ("Kubernetes", _kubernetes)):
        try:
            hosts, index = find(os.environ)
        except KeyError:  # not started by this system
            continue
        except (ValueError, TypeError, AttributeError):
            names = [
                n for n in os.environ if n.startswith(("SLURM_STEP", "SM_", "DCGAN_H", "JOB_C"))
            ]
            values = ", ".join(f"{n}={limits.shown(os.environ[n])}" for n in sorted(names))
            raise UserError(
                f"cannot tell {system}'s workers from {limits.shorten(values, 300)}; set TF_CONFIG "
                "(docs/distributed.md), or train alone with --strategy none"
            ) from None
        if len(hosts) > 1:
            log.info(f"worker {index} of {len(hosts)} ({system}); --strategy none trains alone")
            task = {"type": "worker", "index": index}
            os.environ["TF_CONFIG"] = json.dumps({"cluster": {"worker": hosts}, "task": task})
        return


def _slurm(env) -> tuple[list[str], int]:
    """srun gives the ranks of a node one after the other, as it does unless told otherwise."""
    nodes, index = expand(env["SLURM_STEP_NODELIST"]), int(env["SLURM_PROCID"])
    counts = []
    for part in env["SLURM_STEP_TASKS_PER_NODE"].split(","):  # 2(x3),1
        count, times = re.fullmatch(r"(\d+)(?:\(x(\d+)\))?", part).groups()  # pyright: ignore
        counts += [int(count)] * int(times or 1)
    # Jobs that share a node differ in their ports.
    first = 20_000 + int(env["SLURM_JOB_ID"]) % 700 * 16
    pairs = zip(nodes, counts, strict=True)
    return [f"{node}:{first + rank}" for node, count in pairs for rank in range(count)], index


def expand(nodes: str) -> list[str]:
    """The nodes of Slurm's list, `gpu[01-03,7],big` -> gpu01, gpu02, gpu03, gpu7, big."""
    found = []
    for name in re.findall(r"(?:[^,\[\]]|\[[^\[\]]*\])+", nodes):
        expanded = [""]
        for text, ranges in re.findall(r"([^\[]+)|\[([^\]]*)\]", name):
            numbers = [text] if text else [n for part in ranges.split(",") for n in _numbers(part)]
            expanded = [head + number for head in expanded for number in numbers]
        found += expanded
    return found


def _numbers(part) -> list[str]:
    first, _, last = part.partition("-")
    return [str(n).zfill(len(first)) for n in range(int(first), int(last or first) + 1)]


def _sagemaker(env) -> tuple[list[str], int]:
    hosts, own = json.loads(env["SM_HOSTS"]), env["SM_CURRENT_HOST"]
    return [f"{host}:{PORT}" for host in hosts], hosts.index(own)


def _kubernetes(env) -> tuple[list[str], int]:
    index, hosts = int(env["JOB_COMPLETION_INDEX"]), env["DCGAN_HOSTS"].split(",")
    return [host if ":" in host else f"{host}:{PORT}" for host in hosts], index
